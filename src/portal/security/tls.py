"""The certificate that Portal shows: read from files, checked before it is used, read anew when they change."""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from portal.core.clock import now
from portal.core.health import Condition, State
from portal.errors import SettingsError

SOON_DAYS = 14
"""Days before its end in which somebody should renew it: what renews by itself does so earlier."""
_SEQUENCE, _UTC_TIME, _CONTEXT_0 = 0x30, 0x17, 0xA0
_BEFORE_VALIDITY = 3
"""Of a certificate: serial number, signature algorithm, issuer."""


class Certificate:
    """One certificate with its key."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """`key` may be in the file of the certificate.

        Raises:
            SettingsError: they cannot be used; says why and what to do.
        """
        self._files = certificate, key
        self.context = _context(certificate, key)
        self._ends = _end(certificate)
        self._problem = ""

    @property
    def path(self) -> Path:
        """Its file."""
        return self._files[0]

    @property
    def watched(self) -> Iterable[Path]:
        """The files that it is made of."""
        return [path for path in self._files if path is not None]

    def renew(self) -> None:
        """Read the files anew: new connections get what is in them; what cannot be used changes nothing. Raises
        SettingsError."""
        certificate, key = self._files
        try:
            _context(certificate, key)  # tried apart: half a pair in the one in use would break it
            ends = _end(certificate)
            self.context.load_cert_chain(certificate, key)
        except (SettingsError, OSError) as error:
            self._problem = str(error)
            raise SettingsError(f"The certificate is not renewed, the old one stays: {error}") from error
        self._ends, self._problem = ends, ""

    def check(self) -> Iterable[Condition]:
        """See HealthCheck."""
        days = (self._ends - now()).days
        state: State = "degraded" if self._problem or days < SOON_DAYS else "ok"
        over = "It has ended" if self._ends <= now() else f"It ends in {days} days"
        detail = f"{over}, on {self._ends:%Y-%m-%d}. {self._problem}".strip()
        remedy = f"Renew {self.path}; Portal takes a new one by itself." if state != "ok" else ""
        yield Condition(kind="certificate", state=state, detail=detail, remedy=remedy)


def trusting(certificate: str) -> ssl.SSLContext:
    """For a client of this machine's Portal: who shows what is in this file is the right one, under whatever name.
    Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # this very certificate is what is trusted
    context.load_verify_locations(certificate)
    return context


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path, setting in ((certificate, "server.tls_cert"), (key, "server.tls_key")):
        if path is not None:
            _look(path, setting)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        raise SettingsError(_why(error, certificate, key)) from error
    except _NoPassword as error:
        raise SettingsError(
            f"The key {key or certificate} has a password. Take it off: openssl pkey -in KEY -out NEW"
        ) from error
    return context


class _NoPassword(ValueError):
    pass


def _no_password() -> str:
    raise _NoPassword


def _look(path: Path, setting: str) -> None:
    try:
        if path.is_dir():
            raise SettingsError(f"{setting} is a folder, not a file: {path}")
        path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting} cannot be read: {path}: {error.strerror}") from error


def _why(error: ssl.SSLError, certificate: Path, key: Path | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {key or certificate} is not that of the certificate {certificate}: name the pair that belongs"
    where = f"{certificate} and {key}" if key else f"{certificate} (and server.tls_key is not set)"
    return f"There is no certificate with its key, in PEM, in {where}: {error.reason or error}"


def _end(certificate: Path) -> datetime:
    """When the first certificate of a file ends. Raises SettingsError."""
    text = certificate.read_text(encoding="ascii", errors="replace")
    begin = text.find(ssl.PEM_HEADER)
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(text[begin : text.index(ssl.PEM_FOOTER, begin)] + ssl.PEM_FOOTER))
    except (ValueError, IndexError) as error:
        raise SettingsError(f"server.tls_cert has no certificate in PEM: {certificate}") from error


def _not_after(der: bytes) -> datetime:
    """Of the DER of a certificate (RFC 5280, section 4.1). Raises ValueError, IndexError."""
    _, inside, _ = _element(der, 0)
    _, at, _ = _element(der, inside)
    tag, _, after = _element(der, at)
    at = after if tag == _CONTEXT_0 else at
    for _ in range(_BEFORE_VALIDITY):
        _, _, at = _element(der, at)
    tag, at, _ = _element(der, at)
    if tag != _SEQUENCE:
        raise ValueError("no validity where it should be")
    _, _, at = _element(der, at)
    tag, begin, end = _element(der, at)
    text = der[begin:end].decode("ascii")
    if tag == _UTC_TIME:  # until 2049
        text = f"{20 if text < '50' else 19}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, beginning and end of the content of what stands there."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        more = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + more], "big"), begin + more
    return tag, begin, begin + length
