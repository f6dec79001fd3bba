"""HTTPS: by Portal itself with certificate files, and by a real nginx before it."""

import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.cli.conftest import Installation

from portal.errors import SettingsError
from portal.security.tls import Certificate


def make(folder: Path, name: str = "portal.example", days: float = 365, password: bytes = b"") -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=400))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealed))
    return certificate, private


def shown(url: str) -> str:
    """The common name of the certificate at an address."""
    address = urlsplit(url)
    pem = ssl.get_server_certificate((address.hostname or "", address.port or 443))
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def secure_get(url: str, certificate: Path, **headers: str) -> http.client.HTTPResponse:
    address = urlsplit(url)
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, timeout=10, context=context)
    connection.request("GET", f"{address.path}?{address.query}", headers={"Host": "portal.example", **headers})
    return connection.getresponse()


def configured(installation: Installation, text: str) -> None:
    installation.data_dir.mkdir(mode=0o700, exist_ok=True)
    (installation.data_dir / "portal.toml").write_text(text, encoding="utf-8")


def served(installation: Installation, certificate: Path, key: Path) -> None:
    names = f'tls_cert = "{certificate}"\ntls_key = "{key}"\nallowed_hosts = ["portal.example"]\n'
    configured(installation, f"[server]\n{names}")


def test_portal_speaks_https_by_itself(installation: Installation, tmp_path: Path) -> None:
    certificate, key = make(tmp_path / "tls")
    served(installation, certificate, key)
    server = installation.up()

    assert server.file.url.startswith("https://127.0.0.1:")
    assert server.client.get("/v1/models")["object"] == "list"
    assert "is running at https://" in installation.run("status").stdout
    link = installation.run("link").stdout.strip()
    assert link.startswith(server.file.url)
    answer = secure_get(link, certificate)
    cookie = answer.headers["set-cookie"] or ""
    assert answer.status == 303
    assert "; Secure" in cookie
    assert "; HttpOnly" in cookie
    assert (answer.headers["strict-transport-security"] or "").startswith("max-age=")
    address = urlsplit(server.file.url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)) as plain:
        plain.request("GET", "/health")
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.getresponse()
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        ("gone.pem", "key.pem", "server.tls_cert cannot be read"),
        ("", "key.pem", "server.tls_cert is a folder"),
        ("cert.pem", "other/key.pem", "is not that of the certificate"),
        ("cert.pem", "cert.pem", "There is no certificate with its key, in PEM"),
        ("cert.pem", "sealed/key.pem", "has a password. Take it off"),
    ],
)
def test_files_that_do_not_do(tmp_path: Path, cert: str, key: str, words: str) -> None:
    make(tmp_path)
    make(tmp_path / "other")
    make(tmp_path / "sealed", password=b"open sesame")
    with pytest.raises(SettingsError) as refused:
        Certificate(tmp_path / cert, tmp_path / key)
    assert words in refused.value.message


def test_a_start_with_such_files_says_so(installation: Installation, tmp_path: Path) -> None:
    served(installation, tmp_path / "gone.pem", tmp_path / "gone.key")
    ended = installation.run("up", "--port", "0")
    assert ended.returncode == 1
    assert "server.tls_cert cannot be read" in ended.stderr
    configured(installation, '[server]\ntls_key = "key.pem"\n')
    assert "server.tls_cert is not" in installation.run("up", "--port", "0").stderr


@pytest.mark.parametrize(
    ("days", "state", "words"), [(100.5, "ok", "100 days"), (3.5, "degraded", "3 days"), (-1, "degraded", "has ended")]
)
def test_an_end_that_comes_near_is_told(tmp_path: Path, days: float, state: str, words: str) -> None:
    (condition,) = Certificate(*make(tmp_path, days=days)).check()
    assert condition.state == state
    assert words in condition.detail


def test_an_end_behind_2050_is_read(tmp_path: Path) -> None:
    (condition,) = Certificate(*make(tmp_path, days=20_000)).check()
    assert condition.state == "ok"


def test_a_renewed_certificate_is_shown_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    certificate, key = make(tmp_path / "tls", name="old.example")
    used = Certificate(certificate, key)
    certificate.write_text("half a certi")
    with pytest.raises(SettingsError, match="There is no certificate"):
        used.renew()
    (condition,) = used.check()
    assert condition.state == "degraded"
    assert "the old one stays" not in condition.detail
    make(tmp_path / "tls", name="new.example")
    used.renew()
    assert next(iter(used.check())).state == "ok"


# ------------------------------------------------------------------ a proxy

CONF = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{
      proxy_pass {upstream};
      proxy_set_header {host};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_http_version 1.1; proxy_buffering off;
    }}
  }}
}}
"""


def own_address() -> str:
    """This machine's in its network; loopback where it is in none."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class Nginx:
    def __init__(self, folder: Path, port: int, upstream: str, host: str = "Host $http_host") -> None:
        self.certificate, key = make(folder)
        conf = folder / "nginx.conf"
        named = {"folder": folder, "port": port, "cert": self.certificate, "key": key, "upstream": upstream}
        conf.write_text(CONF.format(**named, host=host), encoding="utf-8")
        self._process = subprocess.Popen([shutil.which("nginx") or "nginx", "-p", str(folder), "-c", str(conf)])
        self.url = f"https://{own_address()}:{port}"
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((own_address(), port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (folder / "error.log").read_text()
                time.sleep(0.02)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def behind(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[list[Nginx]]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    made: list[Nginx] = []
    yield made
    for one in made:
        one.close()


def test_behind_nginx_the_client_is_who_it_is(
    installation: Installation, tmp_path: Path, free_port: int, behind: list[Nginx]
) -> None:
    configured(installation, '[server]\nallowed_hosts = ["portal.example"]\n[limits]\naddress = 40\n')
    server = installation.up()
    behind.append(nginx := Nginx(tmp_path / "nginx", free_port, server.file.url))

    link = urlsplit(installation.run("link").stdout.strip())
    answer = secure_get(f"{nginx.url}{link.path}?{link.query}", nginx.certificate)
    assert "; Secure" in (answer.headers["set-cookie"] or "")
    assert answer.headers["strict-transport-security"]
    me = secure_get(f"{nginx.url}/portal/v1/me", nginx.certificate, Authorization=f"Bearer {server.key}")
    assert b'"api_base":"https://portal.example/v1"' in me.read()
    # everybody behind it has their own rate, and what a client writes itself is not believed
    statuses = [
        secure_get(f"{nginx.url}/health", nginx.certificate, **{"X-Forwarded-For": f"198.51.100.{number}"}).status
        for number in range(40)
    ]
    assert 429 in statuses
    assert server.client.get("/v1/models")["object"] == "list"
    assert secure_get(f"{nginx.url}/health", nginx.certificate, Host="evil.example").status in (403, 429)


def test_a_proxy_that_changes_the_host_is_believed_where_the_settings_name_it(
    installation: Installation, tmp_path: Path, free_port: int, behind: list[Nginx]
) -> None:
    configured(installation, '[server]\nallowed_hosts = ["portal.example"]\ntrusted_proxies = ["127.0.0.1", "::1"]\n')
    server = installation.up()
    behind.append(nginx := Nginx(tmp_path / "nginx", free_port, server.file.url, host="Host $proxy_host"))

    asked = {"Authorization": f"Bearer {server.key}"}
    assert b"https://portal.example/v1" in secure_get(f"{nginx.url}/portal/v1/me", nginx.certificate, **asked).read()
    assert secure_get(f"{nginx.url}/health", nginx.certificate, Host="evil.example").status == 403
