"""A model server that thinks nothing and costs little: what a benchmark sees is the cost of what stands before it.

    python bench/upstream.py --port 18080

It speaks OpenAI's and Ollama's formats, whole and streamed. A prompt steers its own answer by a note anywhere in it:
`[bench chunks=64 pace=10]` (milliseconds between chunks; 0: as fast as they are taken) or `[bench words=64]`.
"""

import argparse
import asyncio
import json
import re

import httptools
import uvloop

MODEL = "bench-model"
_NOTE = re.compile(rb"\[bench ([a-z0-9= ]*)\]")
_STREAM = re.compile(rb'"stream"\s*:\s*(true|false)')
_TIME = "2026-01-01T00:00:00Z"
_DETAILS = {"format": "gguf", "family": "bench", "parameter_size": "7.6B", "quantization_level": "Q4_K_M"}
_LISTS = {
    b"/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}]},
    b"/api/tags": {"models": [{"name": MODEL, "model": MODEL, "size": 1, "digest": "d" * 64, "details": _DETAILS}]},
    b"/api/ps": {"models": [{"name": MODEL, "model": MODEL, "size": 1, "digest": "d" * 64, "context_length": 32768}]},
    b"/api/version": {"version": "0.13.0"},
    b"/api/show": {
        "details": _DETAILS,
        "model_info": {"general.architecture": "bench", "bench.context_length": 32768},
        "capabilities": ["completion", "tools"],
    },
}


def _openai(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + json.dumps({**head, "choices": [choice], **more}).encode() + b"\n\n"


def _ollama(content: str, **more: object) -> bytes:
    head = {"model": MODEL, "created_at": _TIME, "message": {"role": "assistant", "content": content}}
    return json.dumps({**head, "done": False, **more}).encode() + b"\n"


def _frame(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_COUNTS = {"prompt_eval_count": 20, "eval_count": 64, "total_duration": 5, "eval_duration": 4}
_USAGE = {"prompt_tokens": 20, "completion_tokens": 64, "total_tokens": 84}
_CHUNK = {False: _frame(_openai({"content": " word"})), True: _frame(_ollama(" word"))}
_FIRST = {False: _frame(_openai({"role": "assistant", "content": ""})), True: b""}
_LAST = {
    False: _frame(_openai({}, "stop", usage=_USAGE)) + _frame(b"data: [DONE]\n\n"),
    True: _frame(_ollama("", done=True, done_reason="stop", **_COUNTS)),
}
_TYPE = {False: b"text/event-stream", True: b"application/x-ndjson"}


def _whole(ollama: bool, words: int) -> bytes:
    message = {"role": "assistant", "content": "word " * words}
    if ollama:
        made = {"model": MODEL, "created_at": _TIME, "message": message, "done": True, "done_reason": "stop", **_COUNTS}
    else:
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
        made = {**head, "choices": [choice], "usage": _USAGE}
    return _answer(json.dumps(made).encode())


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class Connection(asyncio.Protocol):
    """One client, one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._timer: asyncio.Handle | None = None
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        if self._timer is None:
            self._step()

    def on_message_begin(self) -> None:
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, path = b"".join(self._body), self._path
        if path in (b"/v1/chat/completions", b"/api/chat"):
            self._chat(body, ollama=path == b"/api/chat")
        elif path in _LISTS:
            self._transport.write(_answer(json.dumps(_LISTS[path]).encode()))
        else:
            self._transport.write(_answer(b'{"error":{"message":"no such thing"}}', b"404 Not Found"))

    def _chat(self, body: bytes, *, ollama: bool) -> None:
        note = _NOTE.search(body)
        asked = dict(pair.split(b"=") for pair in note[1].split()) if note else {}
        stream = _STREAM.search(body)
        if (stream[1] == b"true") if stream else ollama:
            self._ollama, self._left = ollama, int(asked.get(b"chunks", 64))
            self._pace = int(asked.get(b"pace", 0)) / 1000
            head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % _TYPE[ollama]
            self._transport.write(head + _FIRST[ollama])
            self._due = self._loop.time()
            self._step()
        else:
            self._transport.write(_whole(ollama, int(asked.get(b"words", 64))))

    def _step(self) -> None:
        self._timer = None
        if self._transport.is_closing():
            return
        if self._left == 0:
            self._transport.write(_LAST[self._ollama] + b"0\r\n\r\n")
            return
        self._left -= 1
        self._transport.write(_CHUNK[self._ollama])
        self._due += self._pace
        if self._pace:
            self._timer = self._loop.call_at(self._due, self._step)
        elif not self._held:
            self._timer = self._loop.call_soon(self._step)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=18080)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
