"""A wheel of pip, for a Python that came without it. Standard library only; used by bootstrap.py."""

import base64
import configparser
import contextlib
import hashlib
import html.parser
import importlib.util
import json
import os
import re
import shutil
import ssl
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., None]
"""run(*command) raises RuntimeError, with the end of what the command said, when it fails."""


def pip_wheel(folder: Path, *, run: Run, say: Callable[[str], None]) -> Path:
    """A wheel of pip in `folder`: by this Python's own pip, from the configured index, or from Debian's archive.

    Raises:
        RuntimeError: none of these gave one; says why, way by way.
    """
    index = configured_index()
    ways: list[tuple[str, Callable[[], Path]]] = []
    if importlib.util.find_spec("pip") is not None:
        ways.append(("this Python's pip", lambda: wheel_from_pip(folder, run)))
    if index:
        ways.append((f"the index {without_password(index)}", lambda: wheel_from_index(index, folder)))
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        ways.append(("Debian's archive", lambda: wheel_from_debian(folder, run)))
    problems = []
    for name, way in ways:
        say(f"This Python came without pip; fetching it from {name}.")
        try:
            return way()
        except (RuntimeError, OSError, ValueError, LookupError) as error:
            problems.append(f"{name}: {error}")
    raise RuntimeError("\n".join([*problems, "This Python came without pip, and none could be fetched"]))


def wheel_from_pip(folder: Path, run: Run) -> Path:
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, "pip")
    return one(folder, "pip-*.whl")


def wheel_from_debian(folder: Path, run: Run) -> Path:
    """Unpack the wheel of the package that ensurepip itself would use; apt checks its signature. Needs no root."""
    package = "python3-pip-whl"
    try:
        run("sh", "-c", f'cd "$1" && apt-get download {package}', "sh", folder)
    except RuntimeError:  # the lists of packages are often left out of images: fetch our own
        lists, cache = folder / "lists", folder / "cache"
        for needed in (lists / "partial", cache / "archives" / "partial"):
            needed.mkdir(parents=True)
        options = f'-o Dir::State::Lists="{lists}" -o Dir::Cache="{cache}" -o APT::Sandbox::User=root'
        script = f'cd "$1" && apt-get {options} update && apt-get {options} download {package}'
        run("sh", "-c", script, "sh", folder)
    run("dpkg-deb", "-x", one(folder, f"{package}*.deb"), folder / "unpacked")
    return one(folder / "unpacked" / "usr" / "share" / "python-wheels", "pip-*.whl")


def one(folder: Path, pattern: str) -> Path:
    for path in folder.glob(pattern):
        return path
    raise LookupError(f"there is no {pattern} in what was fetched")


def configured_index() -> str | None:
    """The index that uv or pip were told to use, by environment or pip's configuration files."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name]
    home = Path.home()
    files = [home / "Library/Application Support/pip/pip.conf", home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    files = [Path(os.environ.get("PIP_CONFIG_FILE", os.devnull)), *files, Path("/etc/pip.conf")]
    for path in files:
        parser = configparser.RawConfigParser()
        with contextlib.suppress(configparser.Error, UnicodeDecodeError):
            parser.read(path, encoding="utf-8")
        for section in ("install", "global"):
            if parser.has_option(section, "index-url"):
                return parser.get(section, "index-url").strip()
    return None


def without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def wheel_from_index(index: str, folder: Path) -> Path:
    """Fetch the newest pip that this Python can run, and check it against the SHA-256 that the index gives."""
    page = f"{index.rstrip('/')}/pip/"
    body, kind = fetch(page)
    if "json" in kind:
        links = json_links(body)
    else:
        parser = LinkParser()
        parser.feed(body.decode("utf-8"))
        links = parser.links
    name, url, digest = newest_wheel(links)
    content, _ = fetch(urllib.parse.urljoin(page, url))
    if hashlib.sha256(content).hexdigest() != digest:
        raise RuntimeError(f"{name} does not have the SHA-256 that the index gives; nothing of it was used")
    path = folder / name
    path.write_bytes(content)
    return path


def fetch(url: str) -> tuple[bytes, str]:
    """The body and its content type."""
    accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1"
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(without_password(url), headers={"Accept": accept})
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:
        return answer.read(), answer.headers.get_content_type()


def json_links(body: bytes) -> list[tuple[str, str, str]]:
    files = json.loads(body)["files"]
    return [
        (
            file["filename"],
            f"{file['url']}#sha256={file['hashes'].get('sha256', '')}",
            file.get("requires-python") or "",
        )
        for file in files
        if not file.get("yanked")
    ]


class LinkParser(html.parser.HTMLParser):
    """The links of an index page: name, address with hash, the Python it requires."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        href = known.get("href")
        if tag == "a" and href and "data-yanked" not in known:
            name = urllib.parse.unquote(urllib.parse.urlsplit(href).path.rsplit("/", 1)[-1])
            self.links.append((name, href, known.get("data-requires-python") or ""))


def newest_wheel(links: list[tuple[str, str, str]]) -> tuple[str, str, str]:
    """Name, address and SHA-256 of the newest final release of pip that runs here."""
    fitting: list[tuple[tuple[int, ...], str, str, str]] = []
    for name, href, requires in links:
        version = re.fullmatch(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl", name)
        minimum = re.search(r">=\s*3\.(\d+)", requires)
        digest = re.search(r"sha256=([0-9a-f]{64})", href)
        if version and digest and (not minimum or int(minimum[1]) <= sys.version_info.minor):
            key = tuple(int(part) for part in version[1].split("."))
            fitting.append((key, name, urllib.parse.urldefrag(href).url, digest[1]))
    if not fitting:
        raise RuntimeError("the index has no wheel of pip with a SHA-256")
    return max(fitting)[1:]
