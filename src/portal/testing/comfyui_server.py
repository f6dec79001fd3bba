"""A strict stand-in of ComfyUI's API, HTTP and WebSocket, that can fail; it paints nothing but plain colours.

    async with ComfyUIServer(models={"ckpt_name": ["sd_xl_base_1.0.safetensors"]}) as comfy:
        comfy.fail(ComfyFault.OUT_OF_MEMORY)      # what becomes of the next job
        comfy.hold()                              # jobs stop after their first step until `comfy.release()`
        ... comfy.url ...
        comfy.prompts[-1]                         # the last workflow that was taken

Workflows are checked as in `comfyui_rules`; `models` are the files that loaders know, by the name of the input.
`nodes` are kinds of nodes beside those recorded; `own_ids` makes it an older version that chooses a job's id itself.
"""

import asyncio
import json
import struct
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, Self

from aiohttp import WSCloseCode, WSMsgType, web

from portal.testing.comfyui_jobs import Job, Painter
from portal.testing.comfyui_rules import Nodes, Refused, options, recorded_nodes, validated

_STATS = {
    "system": {
        "os": "posix",
        "ram_total": 64 * 2**30,
        "ram_free": 32 * 2**30,
        "comfyui_version": "0.3.64",
        "python_version": "3.11",
        "pytorch_version": "2.9.0",
        "embedded_python": False,
        "argv": ["main.py"],
    },
    "devices": [
        {
            "name": "cuda:0 NVIDIA GeForce RTX 3060",
            "type": "cuda",
            "index": 0,
            "vram_total": 12 * 2**30,
            "vram_free": 11 * 2**30,
            "torch_vram_total": 0,
            "torch_vram_free": 0,
        }
    ],
}
_FIELDS = frozenset({"prompt", "prompt_id", "client_id", "extra_data", "number", "front", "partial_execution_targets"})


class ComfyFault(Enum):
    """What becomes of a job."""

    OUT_OF_MEMORY = "the graphics card has too little memory"
    NODE_ERROR = "a node fails"
    DROPPED = "the socket is closed after the first step, the job goes on"
    RESTARTED = "ComfyUI is started anew after the first step and knows nothing of before"
    INTERRUPTED = "somebody stops it in ComfyUI"
    SILENT = "its socket says nothing, as if another program had taken the events"


class ComfyUIServer:
    """ComfyUI's API on loopback."""

    def __init__(
        self,
        *,
        models: Mapping[str, Sequence[str]] | None = None,
        nodes: Nodes | None = None,
        own_ids: bool = False,
        painter: Painter | None = None,
    ) -> None:
        self.url = ""
        self.prompts: list[dict[str, Any]] = []
        self.freed = 0
        self.interrupts = 0
        self.uploads: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.stats: dict[str, Any] = json.loads(json.dumps(_STATS))
        self._nodes = {**recorded_nodes(), **(nodes or {})}
        self._own_ids = own_ids
        self._painter = painter or Painter()
        self._faults: deque[ComfyFault] = deque()
        self._open = True
        self._pending: list[Job] = []
        self._running: Job | None = None
        self._history: dict[str, Any] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._changed = asyncio.Event()
        self._port = 0
        self._number = 0
        self._runner: web.AppRunner | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._worker: asyncio.Task[None] | None = None
        for name, files in (models or {}).items():
            self.install(name, *files)

    # ------------------------------------------------------------------ steering

    def install(self, name: str, *files: str) -> None:
        """Let every loader with an input of this name know these files."""
        for known in self._known(name):
            known += [file for file in files if file not in known]

    def remove(self, name: str, *files: str) -> None:
        """Let none know them any more."""
        for known in self._known(name):
            known[:] = [file for file in known if file not in files]

    def _known(self, name: str) -> Iterator[list[Any]]:
        for node in self._nodes.values():
            for group in node["input"].values():
                chosen = options(group[name]) if name in group else None
                if isinstance(chosen, list):
                    yield chosen

    def fail(self, *faults: ComfyFault) -> None:
        """What becomes of the jobs to come, one for each."""
        self._faults.extend(faults)

    def hold(self) -> None:
        """Jobs wait after their first step."""
        self._open = False

    def release(self) -> None:
        """Jobs go on."""
        self._open = True
        self._notify()

    async def wait_running(self) -> None:
        """Until a job has done its first step."""
        while self._running is None or not self._running.begun:
            await self._changed.wait()

    async def wait_idle(self) -> None:
        """Until there is nothing to do."""
        while self._running is not None or self._pending:
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        assert self._tasks is not None
        await self._tasks.__aexit__(None, None, None)

    async def start(self) -> None:
        """Listen, with an empty queue and no history; at the same port again after `stop`."""
        assert self._tasks is not None
        self._pending, self._running, self._history = [], None, {}
        app = web.Application(client_max_size=256 * 2**20)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        host, self._port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self._port}"
        self._worker = self._tasks.create_task(self._work())

    async def stop(self) -> None:
        """Go away, closing every connection; what was going on is lost."""
        if self._worker is not None:
            self._worker.cancel()
        for socket in list(self._sockets.values()):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _routes(self) -> Sequence[web.AbstractRouteDef]:
        return [
            web.get("/ws", self._socket),
            web.get("/object_info", self._object_info),
            web.get("/system_stats", self._system_stats),
            web.get("/queue", self._queue),
            web.post("/queue", self._edit_queue),
            web.post("/interrupt", self._interrupt),
            web.post("/free", self._free),
            web.get("/history/{prompt_id}", self._one_history),
            web.get("/history", self._all_history),
            web.get("/view", self._view),
            web.post("/upload/image", self._upload),
            web.post("/prompt", self._prompt),
        ]

    # ------------------------------------------------------------------ HTTP

    async def _object_info(self, request: web.Request) -> web.Response:
        return web.json_response(self._nodes)

    async def _system_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats)

    async def _queue(self, request: web.Request) -> web.Response:
        running = [self._running.entry] if self._running else []
        return web.json_response({"queue_running": running, "queue_pending": [one.entry for one in self._pending]})

    async def _edit_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        gone = set(body.get("delete", ()))
        self._pending = [] if body.get("clear") else [one for one in self._pending if one.id not in gone]
        self._notify()
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        """Of one job where it is named and runs, else of whatever runs."""
        body = json.loads(await request.text() or "{}")
        wanted = body.get("prompt_id")
        if self._running is not None and wanted in (None, self._running.id):
            self.interrupts += 1
            self._running.stopped.set()
            self._notify()
        return web.Response()

    async def _free(self, request: web.Request) -> web.Response:
        await request.json()
        self.freed += 1
        return web.Response()

    async def _one_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        found = self._history.get(prompt_id)
        return web.json_response({prompt_id: found} if found else {})

    async def _all_history(self, request: web.Request) -> web.Response:
        return web.json_response(self._history)

    async def _view(self, request: web.Request) -> web.Response:
        query = request.query
        data = self.files.get(f"{query.get('type', 'output')}/{query.get('subfolder', '')}/{query['filename']}")
        if data is None:
            return web.Response(status=404)
        return web.Response(body=data, content_type="application/octet-stream")

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form.get("image")
        if not isinstance(image, web.FileField):
            return web.Response(status=400)
        folder = str(form.get("subfolder", ""))
        self.uploads[f"{folder}/{image.filename}".lstrip("/")] = image.file.read()
        return web.json_response({"name": image.filename, "subfolder": folder, "type": "input"})

    async def _prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        unknown = body.keys() - _FIELDS
        if unknown or not isinstance(body.get("prompt"), dict):
            error = {"type": "no_prompt", "message": "No prompt provided", "details": str(sorted(unknown))}
            return web.json_response({"error": {**error, "extra_info": {}}, "node_errors": {}}, status=400)
        try:
            wanted, errors = validated(body["prompt"], self._nodes, list(self.uploads))
        except Refused as refused:
            return web.json_response({"error": refused.error, "node_errors": refused.node_errors}, status=400)
        self._number += 1
        own = self._own_ids or "prompt_id" not in body
        job = Job(
            id=str(uuid.uuid4()) if own else str(body["prompt_id"]),
            number=self._number,
            graph=body["prompt"],
            wanted=wanted,
            client=body.get("client_id", ""),
            fault=self._faults.popleft() if self._faults else None,
        )
        self.prompts.append(body["prompt"])
        self._pending.append(job)
        self._notify()
        return web.json_response({"prompt_id": job.id, "number": job.number, "node_errors": errors})

    # ------------------------------------------------------------------ socket

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId") or uuid.uuid4().hex
        self._sockets[client] = socket
        remaining = {"exec_info": {"queue_remaining": len(self._pending) + (self._running is not None)}}
        await socket.send_json({"type": "status", "data": {"status": remaining, "sid": client}})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
        if self._sockets.get(client) is socket:
            del self._sockets[client]
        return socket

    async def _say(self, job: Job, event: str, **data: Any) -> None:
        socket = self._sockets.get(job.client)
        message = {"type": event, "data": {**data, "prompt_id": job.id}}
        job.messages.append([event, message["data"]])
        if socket is not None and not socket.closed and job.fault is not ComfyFault.SILENT:
            await socket.send_json(message)

    async def _show(self, job: Job, picture: bytes) -> None:
        socket = self._sockets.get(job.client)
        if socket is not None and not socket.closed and job.fault is not ComfyFault.SILENT:
            await socket.send_bytes(struct.pack(">II", 1, 2) + picture)

    # ------------------------------------------------------------------ work

    async def _work(self) -> None:
        while True:
            while not self._pending:
                await self._changed.wait()
            job = self._running = self._pending.pop(0)
            await self._run(job)
            if self._running is job:
                self._running = None
            self._notify()

    async def _run(self, job: Job) -> None:
        await self._say(job, "execution_start")
        await self._say(job, "execution_cached", nodes=[])
        outputs: dict[str, Any] = {}
        for number in job.order:
            await self._say(job, "executing", node=number, display_node=number)
            for step, most in job.steps(number):
                await self._say(job, "progress", value=step, max=most, node=number)
                await self._show(job, self._painter.preview(step, most))
                await self._first_step(job)
            ended = await self._disturbed(job, number)
            if ended:
                self._history[job.id] = job.history(outputs, ended)
                return
            made = self._painter.made(job, number, self.uploads)
            if made is not None:
                outputs[number] = self._stored(made)
                await self._say(job, "executed", node=number, display_node=number, output=outputs[number])
        self._history[job.id] = job.history(outputs, "success")
        await self._say(job, "execution_success")
        await self._say(job, "executing", node=None)

    async def _first_step(self, job: Job) -> None:
        """Once in a job: whoever waits for it is told, and what is to go wrong in the middle does."""
        if job.begun:
            return
        job.begun = True
        self._notify()
        if job.fault is ComfyFault.DROPPED and job.client in self._sockets:
            await self._sockets.pop(job.client).close()
        if job.fault is ComfyFault.RESTARTED:
            assert self._tasks is not None
            self._tasks.create_task(self._restart())
            await asyncio.Event().wait()
        while not self._open and not job.stopped.is_set():
            await self._changed.wait()

    async def _restart(self) -> None:
        await self.stop()
        await self.start()

    async def _disturbed(self, job: Job, number: str) -> str:
        """How the job ends at this node, if it does."""
        kind = job.graph[number]["class_type"]
        if job.fault is ComfyFault.INTERRUPTED or job.stopped.is_set():
            await self._say(job, "execution_interrupted", node_id=number, node_type=kind, executed=[])
            return "error"
        faults = {
            ComfyFault.OUT_OF_MEMORY: ("torch.OutOfMemoryError", "Allocation on device"),
            ComfyFault.NODE_ERROR: ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied"),
        }
        if job.fault in faults and (number == job.heavy):
            name, message = faults[job.fault]
            facts = {"exception_type": name, "exception_message": message, "traceback": [], "executed": []}
            await self._say(job, "execution_error", node_id=number, node_type=kind, **facts)
            return "error"
        return ""

    def _stored(self, made: Mapping[str, Sequence[tuple[dict[str, str], bytes]]]) -> dict[str, Any]:
        for file, data in (one for group in made.values() for one in group):
            self.files[f"{file['type']}/{file['subfolder']}/{file['filename']}"] = data
        return {key: [file for file, _ in group] for key, group in made.items()}

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
