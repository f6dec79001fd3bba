"""A pip wheel from a package index: the newest that runs here, and only if its SHA-256 is the index's."""

import base64
import hashlib
import http.server
import importlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

WHEEL = b"a wheel"
DIGEST = hashlib.sha256(WHEEL).hexdigest()
NAME = "pip-25.1-py3-none-any.whl"


@pytest.fixture(scope="module")
def pip_wheel(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    scripts = str(request.config.rootpath / "scripts")
    sys.path.insert(0, scripts)
    yield importlib.import_module("pip_wheel")
    sys.path.remove(scripts)


Index = Callable[[bytes, str], str]


@pytest.fixture
def index() -> Iterator[Index]:
    """Serves one page of links at /simple/pip/, and the wheel at any other path, to user `me` alone."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(page: bytes, kind: str) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers["Authorization"] != "Basic " + base64.b64encode(b"me:s cret").decode():
                    self.send_error(401)
                    return
                listing = self.path == "/simple/pip/"
                self.send_response(200)
                self.send_header("Content-Type", kind if listing else "application/octet-stream")
                self.end_headers()
                self.wfile.write(page if listing else WHEEL)

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        return f"http://me:s%20cret@127.0.0.1:{server.server_port}/simple"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def html(digest: str = DIGEST) -> bytes:
    return (
        f'<a href="../../f/pip-9.0.1-py3-none-any.whl#sha256={digest}">old</a>'
        f'<a href="../../f/{NAME}#sha256={digest}" data-requires-python="&gt;=3.9">this</a>'
        f'<a href="../../f/pip-99-py3-none-any.whl#sha256={digest}" data-requires-python="&gt;=3.99">too new</a>'
        f'<a href="../../f/pip-26.0b1-py3-none-any.whl#sha256={digest}">not final</a>'
        f'<a href="../../f/pip-27.0-py3-none-any.whl#sha256={digest}" data-yanked="">withdrawn</a>'
        '<a href="../../f/pip-28.0-py3-none-any.whl">no hash</a><a>no link</a>'
    ).encode()


def as_json(digest: str = DIGEST) -> bytes:
    file = {"filename": NAME, "url": f"../../f/{NAME}", "hashes": {"sha256": digest}, "requires-python": None}
    withdrawn = {"filename": "pip-27.0-py3-none-any.whl", "url": "x", "hashes": {"sha256": digest}, "yanked": "bad"}
    return json.dumps({"files": [file, withdrawn]}).encode()


@pytest.mark.parametrize(
    ("page", "kind"),
    [(html(), "text/html; charset=utf-8"), (as_json(), "application/vnd.pypi.simple.v1+json")],
)
def test_the_newest_wheel_that_runs_here(
    pip_wheel: ModuleType, index: Index, tmp_path: Path, page: bytes, kind: str
) -> None:
    wheel = pip_wheel.wheel_from_index(index(page, kind), tmp_path)

    assert wheel.name == NAME
    assert wheel.read_bytes() == WHEEL


@pytest.mark.parametrize(
    ("page", "message"),
    [(html("0" * 64), "does not have the SHA-256"), (b"<p>nothing here</p>", "has no wheel of pip")],
)
def test_anything_else_is_refused(
    pip_wheel: ModuleType, index: Index, tmp_path: Path, page: bytes, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        pip_wheel.wheel_from_index(index(page, "text/html"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown(pip_wheel: ModuleType) -> None:
    assert pip_wheel.without_password("https://me:secret@host/simple") == "https://host/simple"
