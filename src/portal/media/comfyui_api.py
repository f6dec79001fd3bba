"""ComfyUI's API: its calls, what its socket says, and what its errors mean."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from portal.core.items import JsonObject
from portal.core.media import Picture
from portal.errors import MediaError, MediaRefused
from portal.media.wire import Wire, told

if TYPE_CHECKING:
    import aiohttp

Nodes: TypeAlias = Mapping[str, JsonObject]
"""What `/object_info` says of each kind of node."""

_SHOWN = 3
_PREVIEW, _PREVIEW_WITH_FACTS = 1, 4
"""Kinds of binary frames."""
_IMAGES = {1: "image/jpeg", 2: "image/png"}
_UPLOAD_SECONDS = 300.0
_CONNECT_SECONDS = 30.0
_HEARTBEAT = 20.0
_FRAME = 64 * 2**20
_SUBFOLDER = "portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """Where ComfyUI put a file."""

    filename: str
    subfolder: str
    type: str


class ComfyApi:
    """The calls. Each raises MediaUnavailable where ComfyUI does not answer."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def nodes(self) -> Nodes:
        """Every kind of node that is installed."""
        return await self._known("/object_info")

    async def stats(self) -> JsonObject:
        """The machine."""
        return await self._known("/system_stats")

    async def history(self, prompt_id: str) -> JsonObject | None:
        """How a job ended, or None."""
        entry = (await self._known(f"/history/{prompt_id}")).get(prompt_id)
        return entry if isinstance(entry, dict) else None

    async def queued(self, prompt_id: str) -> bool | None:
        """True while it waits, False while it runs, None where ComfyUI does not know it."""
        queue = await self._known("/queue")
        for key, waiting in (("queue_pending", True), ("queue_running", False)):
            if any(isinstance(one, list) and prompt_id in one[1:2] for one in queue.get(key, ())):
                return waiting
        return None

    async def submit(self, graph: Mapping[str, JsonObject], prompt_id: str, client_id: str) -> str:
        """Its id; older versions choose one of their own. Raises MediaRefused, saying what is wrong."""
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        status, answer = await self.wire.json("POST", "/prompt", json=body)
        if status == 400 and isinstance(answer, dict):
            raise refused(answer)
        if status != 200 or not isinstance(answer, dict) or not isinstance(answer.get("prompt_id"), str):
            raise MediaError(told(status, answer, "ComfyUI"), code="engine_failed")
        return str(answer["prompt_id"])

    async def upload(self, picture: Picture) -> str:
        """The name by which nodes load it; what is there under that name is the same picture."""
        import aiohttp

        form = aiohttp.FormData()
        form.add_field("image", picture.data, filename=picture.name, content_type=picture.content_type)
        form.add_field("subfolder", _SUBFOLDER)
        form.add_field("overwrite", "true")
        status, answer = await self.wire.json("POST", "/upload/image", data=form, seconds=_UPLOAD_SECONDS)
        if status != 200 or not isinstance(answer, dict) or "name" not in answer:
            raise MediaError(told(status, answer, "ComfyUI"), code="engine_failed")
        folder = answer.get("subfolder")
        return f"{folder}/{answer['name']}" if folder else str(answer["name"])

    async def view(self, file: OutputFile, largest: int) -> bytes:
        """A file's bytes. Raises MediaError for one that is gone or too large."""
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}
        async with self.wire.request("GET", "/view", params=query, seconds=_UPLOAD_SECONDS) as response:
            if response.status != 200:
                raise MediaError(f"ComfyUI no longer has {file.filename}.", code="result_gone")
            return await self.wire.body(response, largest)

    async def drop(self, prompt_id: str) -> None:
        """Take it out of the queue, or stop it where it runs."""
        await self.wire.json("POST", "/queue", json={"delete": [prompt_id]})
        if await self.queued(prompt_id) is False:
            await self.wire.json("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def free(self) -> None:
        """Let it unload its models."""
        await self.wire.json("POST", "/free", json={"unload_models": True, "free_memory": True})

    @asynccontextmanager
    async def socket(self, client_id: str) -> "AsyncIterator[aiohttp.ClientWebSocketResponse]":
        """The events of jobs of this client. Raises MediaUnavailable."""
        import aiohttp

        url = f"ws{self.wire.url.removeprefix('http')}/ws"
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                socket = await self.wire.session.ws_connect(
                    url, params={"clientId": client_id}, max_msg_size=_FRAME, heartbeat=_HEARTBEAT
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self.wire.away(error) from error
        try:
            yield socket
        finally:
            await socket.close()

    async def _known(self, path: str) -> JsonObject:
        status, answer = await self.wire.json("GET", path)
        if status != 200 or not isinstance(answer, dict):
            raise self.wire.away(f"what answers at {path} is no ComfyUI (status {status})")
        return answer


def preview(frame: bytes) -> Picture | None:
    """The picture of a binary frame, where it holds one."""
    try:
        kind, second = struct.unpack_from(">II", frame)
        if kind == _PREVIEW and second in _IMAGES:
            return Picture(data=frame[8:], content_type=_IMAGES[second])
        if kind == _PREVIEW_WITH_FACTS:
            facts = json.loads(frame[8 : 8 + second])
            return Picture(data=frame[8 + second :], content_type=str(facts.get("image_type", "image/jpeg")))
    except (struct.error, ValueError, AttributeError):
        pass
    return None


def outputs(entry: JsonObject) -> Sequence[OutputFile]:
    """The files of a job that ended; those kept for good where there are any, else the passing ones."""
    found = [
        OutputFile(filename=one["filename"], subfolder=str(one.get("subfolder", "")), type=str(one.get("type")))
        for output in (entry.get("outputs") or {}).values()
        if isinstance(output, dict)
        for files in output.values()
        if isinstance(files, list)
        for one in files
        if isinstance(one, dict) and isinstance(one.get("filename"), str)
    ]
    return [one for one in found if one.type == "output"] or [one for one in found if one.type == "temp"]


def failure(entry: JsonObject) -> MediaError | None:
    """Why a job of the history failed; None for one that did not."""
    status = entry.get("status") or {}
    for event, data in (one for one in status.get("messages", ()) if isinstance(one, list) and len(one) == 2):
        if event == "execution_error":
            return broken(data)
        if event == "execution_interrupted":
            return interrupted()
    if status.get("status_str") == "error":
        return MediaError("ComfyUI failed without saying why; its log has it.", code="engine_failed")
    return None


def broken(data: Mapping[str, Any]) -> MediaError:
    """What an `execution_error` means."""
    kind, message = str(data.get("exception_type", "")), str(data.get("exception_message", "")).strip()
    node = f"{data.get('node_type')} (node {data.get('node_id')})"
    if "OutOfMemory" in kind or "out of memory" in message.lower() or "Allocation on device" in message:
        return MediaError(
            f"The engine ran out of memory in {node}. Ask for a smaller size, a shorter length or fewer at once, "
            "or take a smaller model.",
            code="out_of_memory",
        )
    return MediaError(f"{node} failed: {message or kind or 'no reason given'}", code="node_failed")


def interrupted() -> MediaError:
    """Somebody stopped it in ComfyUI."""
    return MediaError("The job was stopped in ComfyUI.", code="interrupted")


def refused(answer: Mapping[str, Any]) -> MediaRefused:
    """Why ComfyUI did not take a workflow, with the first few of its reasons."""
    error = answer.get("error")
    head = error.get("message") if isinstance(error, Mapping) else error
    nodes = answer.get("node_errors")
    reasons = [
        f"{node.get('class_type')} (node {number}): {one.get('message')} {one.get('details', '')}".strip()
        for number, node in (nodes.items() if isinstance(nodes, Mapping) else ())
        for one in node.get("errors", ())
    ]
    if isinstance(error, Mapping) and error.get("details") and not reasons:
        reasons = [str(error["details"])]
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return MediaRefused(f"ComfyUI refuses the workflow: {head} {'; '.join(reasons[:_SHOWN])}{more}".strip())
