"""Bytes relayed from a model server that speaks OpenAI's API: unchanged, watched only as far as honesty needs.

What is added: a proper status when it fails before its first byte, an error event when its stream is cut, and the
usage for the log, read from the end of the stream (or counted, where the client did not ask for it).
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from starlette.types import Send

from portal.core.items import JsonObject
from portal.core.model import RawRequest, RawResponse, Sink, TokenUsage
from portal.core.ports import Forwarding
from portal.core.usage import read_usage
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendKeyRefused,
    BackendProtocolError,
    BackendRejected,
)
from portal.interfaces.account import Account
from portal.interfaces.dialect import AsItIs
from portal.interfaces.openai.errors import DIALECT
from portal.interfaces.refusals import beginning
from portal.interfaces.wire import send_json

_TAIL = 8192
_FEW = 8
"""Events before `[DONE]` among which the usage is."""
_MOST_WHOLE = 64 * 2**20
_UNFINISHED = (None, "", "error", "abort")
_EVENT_STREAM = "text/event-stream"
_STARTS = (b"data:", b":", b"event:", b"id:", b"retry:")
_FAILURE = re.compile(rb"\s*(?:event:[^\n]*\n)?data:\s*(\{\s*\"error\"\s*:[^\r\n]*)")
_DATA = re.compile(rb"data:\s*[^\s{\[]")


class Watch:
    """What the end of a relayed stream tells."""

    def __init__(self) -> None:
        self.pieces = 0
        """How many events there were: about as many as tokens."""
        self.begun = False
        self.failed = False
        """The server said itself that it failed."""
        self._last: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """More of the stream."""
        self.begun = True
        self.pieces += chunk.count(b"data:")
        self._last.append(chunk)
        self._size += len(chunk)
        if self._size > 2 * _TAIL:
            kept = b"".join(self._last)[-_TAIL:]
            self._last, self._size = [kept], len(kept)

    def before(self, sink: Sink) -> Sink:
        """A sink that hands on what it has seen."""

        def seen(chunk: bytes) -> Awaitable[None] | None:
            self.feed(chunk)
            return sink(chunk)

        return seen

    def last(self) -> tuple[bool, list[JsonObject]]:
        """Whether the stream said `[DONE]`, and its last events that are whole, newest first; after `[DONE]` a few."""
        done = False
        events: list[JsonObject] = []
        for line in reversed(b"".join(self._last)[-_TAIL:].splitlines()):
            data = line[5:].strip() if line.startswith(b"data:") else b""
            if data == b"[DONE]":
                done = True
            elif done and len(events) == _FEW:
                break
            elif data.startswith(b"{"):
                try:
                    events.append(orjson.loads(data))
                except orjson.JSONDecodeError:
                    continue  # cut: the last one by the server, the first by us
        return done, events


def _all_finished(events: list[JsonObject]) -> bool:
    """Whether every choice in a stream's end has a finish reason: some servers say no more than that, and a connection
    that breaks afterwards has cost nothing."""
    if not events or "error" in events[0]:
        return False
    listed = [event["choices"] for event in events if isinstance(event.get("choices"), list)]
    choices = [choice for choices in listed for choice in choices if isinstance(choice, dict)]
    begun = {str(choice.get("index") or 0) for choice in choices}
    ended = {str(choice.get("index") or 0) for choice in choices if choice.get("finish_reason") not in _UNFINISHED}
    return bool(ended) and begun == ended


async def relay(
    backend: Forwarding, path: str, body: bytes, *, send: Send, account: Account, count_input: Callable[[], int]
) -> None:
    """Send the request on, and its answer back. `count_input` estimates the input's tokens where nobody else counts.

    Raises:
        BackendError: before anything was sent to the client.
    """
    reply = await backend.forward(RawRequest(method="POST", path=path, body=body))
    try:
        if reply.status >= 400:
            raise await _refusal(reply, account)
        elif reply.content_type.startswith(_EVENT_STREAM):
            watch = Watch()
            frames = _streamed(reply, account, watch, count_input)
            whole = await account.stream(send, frames, DIALECT, pour=lambda sink: reply.pour(watch.before(sink)))
            account.status = "completed" if whole and not watch.failed else "failed"
        else:
            await _whole(reply, send, account, count_input)
    finally:
        await reply.aclose()


async def _streamed(
    reply: RawResponse, account: Account, watch: Watch, count_input: Callable[[], int]
) -> AsyncGenerator[bytes, None]:
    broken: BackendError | None = None
    try:
        async for chunk in reply.body:
            if not watch.begun:
                _check_begin(account, chunk)
            watch.feed(chunk)
            yield chunk
    except BackendError as error:
        broken = error
    finally:
        done, events = watch.last()
        counted = next((usage for event in events if (usage := read_usage(event.get("usage")))), None)
        account.usage = counted or TokenUsage(count_input(), max(watch.pieces - done, 0), estimated=True)
    complete = done or _all_finished(events)
    if broken is not None and not complete:
        raise broken
    watch.failed = bool(events) and bool(events[0].get("error"))
    if watch.failed:
        account.failing(_failure(account, events[0]["error"]))
    elif not complete:
        raise BackendInterrupted(f"The model server {account.backend.name} broke off in the middle of its answer.")


def _check_begin(account: Account, chunk: bytes) -> None:
    """Raises BackendError for what is no stream of events, or begins with a failure."""
    if not _begins_events(chunk):
        raise _garbage(account, chunk)
    if (found := _FAILURE.match(chunk)) is not None:
        with suppress(orjson.JSONDecodeError):
            raise _failure(account, orjson.loads(found[1])["error"])


def _begins_events(chunk: bytes) -> bool:
    """Whether these bytes, or what they are cut from, begin a stream of events."""
    start = chunk.lstrip()
    if _DATA.match(start):
        return False
    return start.startswith(_STARTS) or any(known.startswith(start) for known in _STARTS)


async def _whole(reply: RawResponse, send: Send, account: Account, count_input: Callable[[], int]) -> None:
    content = await _bounded(reply, account)
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _garbage(account, content) from error
    if isinstance(answer, dict) and answer.get("error") and not answer.get("choices"):
        raise _failure(account, answer["error"])
    usage = read_usage(answer.get("usage")) if isinstance(answer, dict) else None
    account.usage = usage or TokenUsage(count_input(), max(len(content) // 4, 1), estimated=True)
    account.status = "completed"
    await send_json(send, reply.status, content, account.headers)


async def _bounded(reply: RawResponse, account: Account) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in reply.body:
            size += len(chunk)
            if size > _MOST_WHOLE:
                raise BackendProtocolError(
                    f"The model server {account.backend.name} answered with more than {_MOST_WHOLE} bytes."
                )
            chunks.append(chunk)
    except BackendError:
        if chunks:
            account.permit.begin()
        raise
    return b"".join(chunks)


def _failure(account: Account, error: Any) -> BackendError:
    """A failure that came with status 200; some proxies put the status that it should have had into its code."""
    said = error if isinstance(error, dict) else {"message": error}
    message, status = str(said.get("message") or error)[:500], said.get("code")
    if isinstance(status, int) and status in BackendKeyRefused.STATUSES:
        return BackendKeyRefused.of(f"The model server {account.backend.name}", status)
    if isinstance(status, int) and 400 <= status < 500:
        return BackendRejected(message, status=status)
    return BackendError(f"The model server {account.backend.name} failed: {message}")


async def _refusal(reply: RawResponse, account: Account) -> BackendError:
    """A refusal in OpenAI's form goes on as it is; any other is put into that form."""
    content = await beginning(reply)
    if reply.status in BackendKeyRefused.STATUSES:
        return BackendKeyRefused.of(f"The model server {account.backend.name}", reply.status)
    message = _message(content)
    if message is None:
        said = orjson.loads(content)["error"]["message"]
        return AsItIs(said, status=reply.status, body=content, retry_after=reply.retry_after)
    error: BackendError
    if reply.status < 500:
        error = BackendRejected(message, status=reply.status)
    else:
        error = BackendError(f"The model server {account.backend.name} failed ({reply.status}): {message}")
    error.retry_after = reply.retry_after
    return error


def _message(content: bytes) -> str | None:
    """What a refusal says; None if it is in OpenAI's form already."""
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "it answered with a web page" if content.lstrip()[:1] == b"<" else content[:200].decode(errors="replace")
    if not isinstance(said, dict):
        return str(said)[:200]
    error = said.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return None
    return str(error or said.get("message") or said.get("detail") or said)[:500]


def _garbage(account: Account, content: bytes) -> BackendProtocolError:
    shown = content[:80].decode(errors="replace")
    return BackendProtocolError(
        f"The model server {account.backend.name} answered something that is not OpenAI's protocol: {shown!r}"
    )
