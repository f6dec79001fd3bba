"""The servers of a benchmark as processes of their own: started here, measured by their process, ended here."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    client_max_body_size 64m; keepalive_requests 1000000;
    upstream model {{ server 127.0.0.1:{upstream}; {kept} }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://model; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 300s;
            proxy_set_header Connection {connection};
        }}
    }}
}}
"""


_KEPT = {"kept": "keepalive 256; keepalive_requests 1000000;", "connection": '""'}
_CLOSED = {"kept": "", "connection": "close"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Process(AbstractContextManager["Process"]):
    """A server; `path` answers 200 once it is there."""

    def __init__(self, command: list[str], *, port: int, path: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._path = path
        self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        until = time.perf_counter() + 60
        while time.perf_counter() < until and self._child.poll() is None:
            try:
                with urllib.request.urlopen(self.url + self._path, timeout=2):
                    return self
            except OSError:  # not there yet, or busy
                time.sleep(0.02)
        self.__exit__(None, None, None)
        raise SystemExit(f"{self.url} did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.terminate()
        try:
            self._child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its threads and its children's."""
        return sum(_ran(pid) for pid in self._family())

    def memory(self) -> float:
        """Resident megabytes."""
        return sum(_resident(pid) for pid in self._family())

    def _family(self) -> list[int]:
        pid = self._child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [pid, *map(int, children.split())]


def _ran(pid: int) -> float:
    """To the nanosecond: the kernel's own accounting has steps of ten milliseconds."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text(encoding="ascii").split()[0]) for stat in stats) / 1e9


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def upstream() -> Process:
    port = free_port()
    return Process([sys.executable, str(HERE / "upstream.py"), "--port", str(port)], port=port, path="/api/version")


def reference(model_server: Process, folder: Path, *, plain: bool) -> tuple[str, Process]:
    """What gateways are measured against: nginx, or where there is none, the least that Python can do. With `plain` it
    makes a connection to the model server for each request, as nginx long did unless told otherwise."""
    port, upstream_port = free_port(), int(model_server.url.rpartition(":")[2])
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if nginx is None:
        command = [sys.executable, str(HERE / "reference.py"), "--port", str(port), "--upstream", model_server.url]
        return "raw ASGI", Process(command, port=port, path="/api/version")
    config = folder / "nginx.conf"
    filled = {"folder": folder, "port": port, "upstream": upstream_port, **(_CLOSED if plain else _KEPT)}
    config.write_text(NGINX.format(**filled), encoding="utf-8")
    return "nginx", Process([nginx, "-p", str(folder), "-c", str(config)], port=port, path="/api/version")


def portal(command: list[str], folder: Path, *, kind: str, url: str) -> Process:
    """Portal as people start it, with this model server and no other."""
    folder.mkdir(parents=True)
    config = f'[discovery]\nenabled = false\n\n[[backends]]\nkind = "{kind}"\nurl = "{url}"\n'
    (folder / "portal.toml").write_text(config, encoding="utf-8")
    port = free_port()
    run = [*command, "up", "--port", str(port), "--data-dir", str(folder)]
    return Process(run, port=port, path="/health")


_BUDGETS = ("--budget", "1000000000requests", "--budget", "1000000000tokens")
BOUNDS = ("--scope", "models:*", "--rate", "1000000", *_BUDGETS)
"""Of a key that is bounded in every way, and never refused."""


def portal_key(command: list[str], folder: Path, *bounds: str) -> str:
    """An API key of that Portal."""
    run = [*command, "keys", "create", "bench", *bounds, "--data-dir", str(folder)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    return next(word for word in said.split() if word.startswith("portal-"))


def gateways(
    command: list[str], folder: Path, stack: ExitStack, *, plain: bool, bounds: Sequence[str] = ()
) -> tuple[Process, str, Process, Process, str]:
    """A model server, and before it the reference and Portal: (server, the reference's name, it, Portal, its key)."""
    server = stack.enter_context(upstream())
    (folder / "nginx").mkdir()
    name, before = reference(server, folder / "nginx", plain=plain)
    stack.enter_context(before)
    home = folder / "data"
    running = stack.enter_context(portal(command, home, kind="openai_compatible", url=server.url))
    return server, name, before, running, portal_key(command, home, *bounds)
