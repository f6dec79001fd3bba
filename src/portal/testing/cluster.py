"""Several servers on one PostgreSQL, each a process of its own, behind nginx: for tests and benchmarks.

async with Cluster.opened(folder, database=url, backend=models.url, servers=3) as cluster:
    async with cluster.client() as api: ...        # by the balancer, round robin
    cluster.servers[0].process.kill()
"""

import asyncio
import json
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

SETTINGS = (
    "[discovery]\nenabled = false\n[turns]\ntitles = false\n[limits]\nperson = 0\naddress = 0\nperson_at_once = 0\n"
)
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream portal {{ {servers} keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://portal; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
            proxy_set_header Host $host; proxy_set_header Connection "";
            proxy_connect_timeout 2s; proxy_next_upstream error timeout;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of itself in its data folder."""

    pid: int
    url: str
    token: str


def told_in(folder: Path) -> Told | None:
    """None as long as it says nothing."""
    try:
        content = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Told(content["pid"], content["url"], content["token"])


@dataclass(slots=True)
class ServerProcess:
    """One of them."""

    folder: Path
    process: asyncio.subprocess.Process
    file: Told

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> aiohttp.ClientSession:
        """As the owner, past the balancer."""
        return aiohttp.ClientSession(self.file.url, headers={"Authorization": f"Bearer {self.file.token}"})


@dataclass(slots=True, kw_only=True)
class Cluster:
    """Running servers, and the balancer before them."""

    folder: Path
    arguments: Sequence[str]
    database: str
    toml: str
    servers: list[ServerProcess] = field(default_factory=list)
    model: str = "tiny"
    """That each server is to know before it counts as started."""
    port: int = 0
    key: str = ""
    nginx: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        folder: Path,
        *,
        database: str,
        backend: str,
        servers: int = 3,
        settings: str = "",
        balanced: bool = True,
        model: str = "tiny",
        by: Sequence[str] = (),
    ) -> AsyncIterator["Cluster"]:
        """Start them. `backend` is the address of a server with OpenAI's API, or empty where `settings`, more lines of
        portal.toml, name one; for `by` see start."""
        arguments = ("--backend", f"openai_compatible={backend}") if backend else ()
        toml = f'seal_key = "{secrets.token_hex(32)}"\n{{database}}\n{SETTINGS}{settings}'
        made = cls(folder=folder, arguments=arguments, database=database, toml=toml, model=model)
        try:
            for number in range(servers):
                made.servers.append(await made.start(number, by=by))
            naming = {"name": "tests"}
            async with made.servers[0].client() as api, api.post("/portal/v1/keys", json=naming) as answer:
                made.key = (await answer.json())["key"]
            if balanced:
                await made._balance()
            yield made
        finally:
            await made._stop()

    async def start(self, number: int, database: str = "", by: Sequence[str] = ()) -> ServerProcess:
        """A server, once it answers and knows the model; `database` is another way to the same one, `by` the command
        that runs its program."""
        folder = self.folder / f"server-{number}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "portal.toml").exists():
            named = f'database = "{database or self.database}"'
            (folder / "portal.toml").write_text(self.toml.format(database=named), encoding="utf-8")
        with (self.folder / f"server-{number}.log").open("ab") as log:  # for whoever looks into a failure
            process = await asyncio.create_subprocess_exec(
                *(*by, sys.executable, "-P", "-m", "portal", "up", "--unannounced", "--port", self._port_of(number)),
                *("--data-dir", str(folder), *self.arguments),
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        while (file := told_in(folder)) is None or file.pid != process.pid:
            if process.returncode is not None:
                raise RuntimeError(
                    f"server {number} ended: {(self.folder / f'server-{number}.log').read_text()[-2000:]}"
                )
            await asyncio.sleep(0.02)
        started = ServerProcess(folder, process, file)
        async with started.client() as api:
            while True:
                async with api.get("/v1/models") as answer:
                    if any(model["id"] == self.model for model in (await answer.json())["data"]):
                        return started
                await asyncio.sleep(0.02)

    def _port_of(self, number: int) -> str:
        """That of before, where the balancer looks for it."""
        return self.servers[number].file.url.rpartition(":")[2] if number < len(self.servers) else "0"

    def client(self) -> aiohttp.ClientSession:
        """With an API key, by the balancer."""
        return aiohttp.ClientSession(
            f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.key}"},
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def _balance(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        servers = " ".join(
            f"server {one.file.url.removeprefix('http://')} max_fails=1 fail_timeout=2s;" for one in self.servers
        )
        place = self.folder / "nginx.conf"
        place.write_text(_NGINX.format(folder=self.folder, servers=servers, port=self.port), encoding="utf-8")
        self.nginx = await asyncio.create_subprocess_exec(
            *("nginx", "-c", str(place), "-p", str(self.folder)), stderr=asyncio.subprocess.DEVNULL
        )
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.02)

    async def _stop(self) -> None:
        for one in self.servers:
            if one.process.returncode is None:
                one.resume()
                one.process.terminate()
        if self.nginx is not None and self.nginx.returncode is None:
            self.nginx.terminate()
            await self.nginx.wait()
        for one in self.servers:
            try:
                async with asyncio.timeout(20):
                    await one.process.wait()
            except TimeoutError:
                one.process.kill()
                await one.process.wait()


class Wire:
    """The way of one server to PostgreSQL, which can be cut: nothing comes through any more, and nobody is told.

    `async with Wire(folder, socket) as wire:` listens in `folder`; `socket` is where PostgreSQL does.
    """

    NAME = ".s.PGSQL.5432"

    def __init__(self, folder: Path, there: Path) -> None:
        self._folder, self._there = folder, there
        self._open = asyncio.Event()
        self._open.set()
        self._tasks = asyncio.TaskGroup()
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Wire":
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._tasks.__aenter__()
        self._server = await asyncio.start_unix_server(self._connected, str(self._folder / self.NAME))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)

    def cut(self) -> None:
        """From now on nothing comes through."""
        self._open.clear()

    def mend(self) -> None:
        """What was sent meanwhile arrives late."""
        self._open.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(str(self._there / self.NAME))
        for source, target in ((reader, there_writer), (there_reader, writer)):
            task = self._tasks.create_task(self._carry(source, target))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(2**16):
                await self._open.wait()
                target.write(piece)
                await target.drain()
        target.close()
