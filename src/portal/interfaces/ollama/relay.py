"""Bytes relayed from an Ollama server: unchanged, watched only as far as honesty and the usage log need."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson
from starlette.types import Send

from portal.core.items import JsonObject
from portal.core.model import RawRequest, RawResponse, TokenUsage
from portal.core.ports import Forwarding
from portal.core.usage import count
from portal.errors import BackendError, BackendInterrupted, BackendKeyRefused, BackendProtocolError, BackendRejected
from portal.interfaces.account import Account
from portal.interfaces.dialect import AsItIs
from portal.interfaces.ollama.errors import DIALECT, NDJSON
from portal.interfaces.ollama.lines import LineWatch
from portal.interfaces.refusals import beginning
from portal.interfaces.wire import send_json

MOST_WHOLE = 64 * 2**20
_FAILURE = b'{"error"'


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
            raise await refusal(reply, account.backend.name)
        if reply.content_type.startswith(NDJSON):
            watch = LineWatch(account.backend.name, lambda last: last.get("done") is True)
            frames = _streamed(reply, account, watch, count_input)
            whole = await account.stream(send, frames, DIALECT, pour=lambda sink: reply.pour(watch.before(sink)))
            account.status = "completed" if whole and not watch.failed else "failed"
            if watch.failed:
                account.error = BackendError(str(watch.last.get("error"))).lasting
        else:
            await _whole(reply, send, account, count_input)
    finally:
        await reply.aclose()


async def _streamed(
    reply: RawResponse, account: Account, watch: LineWatch, count_input: Callable[[], int]
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(watch.frames(reply.body)) as frames:
            async for frame in frames:
                if watch.lines == 1 and frame.startswith(_FAILURE):
                    raise BackendError(f"The model server {account.backend.name} failed: {_said(frame)}")
                yield frame
    finally:
        account.usage = _usage(watch.last, count_input, max(watch.lines - 1, 0))


def _usage(answer: JsonObject, count_input: Callable[[], int], pieces: int) -> TokenUsage:
    """Its counts; Ollama leaves out the prompt's where it found all of it in its cache."""
    asked, made = count(answer, "prompt_eval_count"), count(answer, "eval_count")
    made = 0 if "embeddings" in answer else made
    if asked is not None and made is not None:
        return TokenUsage(asked, made)
    return TokenUsage(count_input() if asked is None else asked, pieces if made is None else made, estimated=True)


async def _whole(reply: RawResponse, send: Send, account: Account, count_input: Callable[[], int]) -> None:
    name = account.backend.name
    try:
        content = await read(reply, MOST_WHOLE, name)
    except BackendInterrupted:
        account.answering()  # it had begun: nobody else is asked
        raise
    answer = parsed(content, name)
    if "error" in answer:
        raise BackendError(f"The model server {name} failed: {answer['error']}")
    account.usage = _usage(answer, count_input, len(content) // 4)
    account.status = "completed"
    await send_json(send, reply.status, content, account.headers)


async def refusal(reply: RawResponse, name: str) -> BackendError:
    """A refusal, as it is where it has Ollama's form; else its words in that form."""
    content = await beginning(reply)
    if reply.status in BackendKeyRefused.STATUSES:
        return BackendKeyRefused.of(f"The model server {name}", reply.status)
    said = _said(content)
    if said is not None:
        return AsItIs(said, status=reply.status, body=content, retry_after=reply.retry_after)
    shown = "a web page" if content.lstrip()[:1] == b"<" else content[:200].decode(errors="replace")
    error: BackendError
    if reply.status < 500:
        error = BackendRejected(f"The model server {name} refused: {shown}", status=reply.status)
    else:
        error = BackendError(f"The model server {name} failed ({reply.status}): {shown}")
    error.retry_after = reply.retry_after
    return error


def _said(content: bytes) -> str | None:
    """The words of an error in Ollama's form; None for what has another."""
    try:
        said = orjson.loads(content)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return said if isinstance(said, str) else None


async def read(reply: RawResponse, most: int, name: str) -> bytes:
    """The whole body. Raises BackendProtocolError over `most` bytes."""
    chunks, size = [], 0
    async for chunk in reply.body:
        size += len(chunk)
        if size > most:
            raise BackendProtocolError(f"The model server {name} answered with more than {most} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def parsed(content: bytes, name: str) -> JsonObject:
    """The JSON object of an answer. Raises BackendProtocolError."""
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict):
        return answer
    shown = content[:80].decode(errors="replace")
    raise BackendProtocolError(f"The model server {name} answered something that is not Ollama's protocol: {shown!r}")
