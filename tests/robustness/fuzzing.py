"""Broken requests, each made of its number alone: WebSocket handshakes, frames and messages, reconnections to streams,
and multipart forms. The same seed and number make the same bytes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

JUNK: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308, "", " ", "0", "\x00", "\ud800",
    "\u202e", "é" * 50, "a" * 5000, [], {}, [[]], [None], {"": None}, [{}] * 50, {"type": "message"}, "resp_0", "null",
)  # fmt: skip
WORDS = (b"", b"0", b"-1", b"1", b"abc", b"%00", b"%ff", b"9" * 30, b"9" * 5000, b"1e9", b"0x10", b"+1", b"%20",
         b"NaN", b"true", b"[]", b"..", b"%F0%9F%98%80", b"1.5", b"-0", b"18446744073709551616", b"%25",
         b"&", b"=")  # fmt: skip
UPLOADS = ("/v1/files", "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits",
           "/v1/images/variations")  # fmt: skip
_FILES = {
    "files": (b"file", b"text/plain", b"A note."),
    "audio": (b"file", b"audio/wav", b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00"),
    "images": (b"image", b"image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
}
FIELDS = ("file", "purpose", "model", "prompt", "image", "image[]", "mask", "n", "size", "response_format",
          "language", "stream", "temperature", "timestamp_granularities[]", "expires_after[anchor]", 
          "expires_after[seconds]", "", "\x00", "x" * 300)  # fmt: skip
VALUES = (b"", b"1", b"user_data", b"tiny", b"json", b"\xff\xfe", b"true", b"-1", b"{", b"a" * 3000,
          b"\x00" * 10, b"--", b"\r\n", b"1e999", b"RIFF\x00\x00\x00\x00WAVEfmt ",
          b"\x89PNG\r\n\x1a\n\x00\x00")  # fmt: skip
FILENAMES = (b"a.txt", b"", b"../../etc/passwd", b"a\\b.png", b"\xff\xfe.wav", b"x" * 400, b"a\x00b", b'q"uote',
             b"CON", b".", b"a\nb")  # fmt: skip
TYPES = (b"text/plain", b"", b"image/png", b"audio/wav", b"a", b"\xff", b"text/plain; charset=utf-16", b";" * 40)

_KINDS_OF_BODY = (b"multipart/form-data", b"multipart/mixed; boundary=b", b"", b"application/json",
                  b"multipart/form-data;boundary", b"multipart/form-data; charset=nope; boundary=b")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent on a connection of its own."""

    kind: str
    head: bytes
    """The request, whole or not."""
    frames: Sequence[bytes] = ()
    """What follows once a WebSocket was opened."""
    endless: bool = False
    """Whether the answer has no end, so that its beginning is enough."""
    whole: bool = True
    """Whether the server can know that nothing more comes."""


def case(seed: int, number: int, *, host: str, key: str, response: str) -> Case:
    """The case of that number; `response` is the id of one that is there."""
    random = Random(f"{seed} {number}")
    start = {"host": host, "key": key, "response": response}
    make = random.choices(list(_KINDS), weights=list(_KINDS.values()))[0]
    return make(random, start)


def _request(
    method: str, target: bytes, start: Mapping[str, str], headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b""
) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target), b"Host: " + start["host"].encode()]
    lines += [b"Authorization: Bearer " + start["key"].encode()]
    lines += [b"%b: %b" % pair for pair in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


_UPGRADE = (
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)
_ODD_HEADERS = (
    (b"Sec-WebSocket-Key", b"short"), (b"Sec-WebSocket-Version", b"99"), (b"Sec-WebSocket-Protocol", b",,\xff"),
    (b"Sec-WebSocket-Extensions", b"permessage-deflate; server_max_window_bits=99"), (b"Origin", b"null"),
    (b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits=\"x\""), (b"Upgrade", b"h2c"),
    (b"Sec-WebSocket-Key", b"\xff" * 16), (b"Sec-WebSocket-Version", b""), (b"Connection", b"close"),
    (b"Content-Length", b"10"), (b"Cookie", b"portal_session=\xff; ;=="),
)  # fmt: skip


def _handshake(random: Random, start: Mapping[str, str]) -> Case:
    headers = list(_UPGRADE)
    for _ in range(random.randint(1, 3)):
        action = random.randrange(3)
        if action == 0 and headers:
            headers.pop(random.randrange(len(headers)))
        elif action == 1:
            headers.append(random.choice(_ODD_HEADERS))
        elif headers:
            place = random.randrange(len(headers))
            headers[place] = (headers[place][0], random.choice(_ODD_HEADERS)[1])
    query = b"?portal_events=" + random.choice(WORDS) if random.random() < 0.3 else b""
    head = _request("GET", b"/v1/responses" + query, start, headers)
    return Case("handshake", head, [_frame(random, b"{}")], whole=False)


def _frame(random: Random, data: bytes, *, opcode: int = 1, first: int | None = None, masked: bool = True) -> bytes:
    """One frame as a client sends it."""
    head = bytes([0x80 | opcode if first is None else first])
    bit, size = 0x80 if masked else 0, len(data)
    if size < 126:
        head += bytes([bit | size])
    elif size < 2**16:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + data
    mask = random.randbytes(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


def _odd_frame(random: Random) -> bytes:
    data = random.randbytes(random.choice((0, 1, 2, 20, 125, 126, 300)))
    makers: Sequence[Callable[[], bytes]] = (
        lambda: _frame(random, data, first=random.randrange(256)),
        lambda: _frame(random, data, masked=False),
        lambda: _frame(random, b"\xff\xfe\xfd" + data),
        lambda: _frame(random, data, opcode=2),
        lambda: _frame(random, data, opcode=8),
        lambda: _frame(random, random.randrange(2**16).to_bytes(2, "big") + data[:100], opcode=8),
        lambda: _frame(random, data, opcode=9),
        lambda: _frame(random, data, opcode=0),
        lambda: _frame(random, b'{"type":', first=1) + _frame(random, b"1}", first=0x80),
        lambda: _frame(random, b'{"type":', first=1) + _frame(random, data[:100], opcode=9) + _frame(random, data),
        lambda: b"\x81\xff" + random.randrange(2**63, 2**64).to_bytes(8, "big") + b"\x00" * 4,
        lambda: b"\x81\xff" + (2**40).to_bytes(8, "big") + b"\x00" * 4 + data,
        lambda: _frame(random, data)[: random.randint(0, 8)],
        lambda: random.randbytes(random.randint(1, 60)),
    )
    return random.choice(makers)()


def _frames(random: Random, start: Mapping[str, str]) -> Case:
    frames = [_odd_frame(random) for _ in range(random.randint(1, 4))]
    return Case("frames", _request("GET", b"/v1/responses", start, _UPGRADE), frames, whole=False)


def _message(random: Random, start: Mapping[str, str]) -> bytes:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    whole = {
        "type": "response.create",
        "model": random.choice(("tiny", "auto", "nobody")),
        "input": random.choice(["hi", [item], [item, {"type": "item_reference", "id": "msg_0"}]]),
        "store": random.random() < 0.2,
        "previous_response_id": random.choice((None, start["response"], "resp_none")),
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": "auto",
        "metadata": {"a": "b"},
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 16,
        "temperature": 1,
    }
    for _ in range(random.randint(0, 4)):
        _mutate(random, whole)
    if random.random() < 0.3:
        return _broken_text(random, json.dumps(whole).encode())
    return json.dumps(whole, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def _mutate(random: Random, tree: Any) -> None:
    """Change one place of it to something else."""
    while True:
        keys: Sequence[Any] = list(tree) if isinstance(tree, dict) else range(len(tree))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and random.random() < 0.6:
            tree = tree[key]
            continue
        if isinstance(tree, dict) and random.random() < 0.2:
            del tree[key]
        elif isinstance(tree, dict) and random.random() < 0.1:
            tree[random.choice(("x", "", "type", "id", "background", "stream", "conversation"))] = random.choice(JUNK)
        else:
            tree[key] = json.loads(json.dumps(random.choice(JUNK)))
        return


def _broken_text(random: Random, text: bytes) -> bytes:
    place = random.randrange(len(text) + 1)
    makers: Sequence[Callable[[], bytes]] = (
        lambda: text[:place],
        lambda: text[:place] + random.randbytes(3) + text[place:],
        lambda: b"[" * random.choice((10, 2000, 100_000)),
        lambda: b'{"a":' * random.choice((10, 2000, 50_000)) + b"1",
        lambda: text.replace(b"16", b"9" * random.choice((20, 400, 5000))),
        lambda: text.replace(b'"hi"', b"NaN"),
        lambda: text.replace(b"hi", b"\\ud800"),
        lambda: b"\xef\xbb\xbf" + text,
        lambda: text + text,
        lambda: b" " * 10_000,
    )
    return random.choice(makers)()


def _messages(random: Random, start: Mapping[str, str]) -> Case:
    frames = [_frame(random, _message(random, start)) for _ in range(random.randint(1, 3))]
    stays = random.random() < 0.5
    if not stays:
        frames.append(_frame(random, b"\x03\xe8", opcode=8))
    query = b"?portal_events=1" if random.random() < 0.3 else b""
    return Case("messages", _request("GET", b"/v1/responses" + query, start, _UPGRADE), frames, whole=not stays)


def _reconnect(random: Random, start: Mapping[str, str]) -> Case:
    word = lambda: random.choice(WORDS)  # noqa: E731
    headers = [(b"Last-Event-ID", random.choice((*WORDS, b"\xb2", b"\xff", b"9" * 6000, b"1,2")))]
    headers = headers[: random.randint(0, 1)]
    names = (b"starting_after", b"stream", b"portal_events", b"limit", b"after", b"order", b"include[]", b"")
    pairs = [b"%b=%b" % (random.choice(names), word()) for _ in range(random.randint(0, 4))]
    if random.random() < 0.4:
        target = b"/portal/v1/events?" + b"&".join(pairs)
        return Case("events", _request("GET", target, start, headers), endless=True)
    known = start["response"].encode() if random.random() < 0.7 else word().replace(b"&", b"x") or b"x"
    tail = random.choice((b"", b"", b"", b"/input_items"))
    target = b"/v1/responses/" + known + tail + b"?" + b"&".join([b"stream=true", *pairs])
    return Case("reconnect", _request("GET", target, start, [*headers, (b"Connection", b"close")]))


def _proper(target: str, boundary: bytes) -> list[bytes]:
    """The parts of a form that this path takes."""
    name, kind, data = _FILES[target.split("/")[2]]
    fields = {"purpose": "user_data"} if target == "/v1/files" else {"model": "tiny", "prompt": "hi"}
    parts = [
        b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (k.encode(), v.encode()) for k, v in fields.items()
    ]
    parts.append(
        b'Content-Disposition: form-data; name="%b"; filename="a"\r\nContent-Type: %b\r\n\r\n%b' % (name, kind, data)
    )
    return [b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts]


def _part(random: Random, boundary: bytes) -> bytes:
    name = random.choice(FIELDS).encode()
    lines = [b'Content-Disposition: form-data; name="%b"' % name]
    if random.random() < 0.5:
        lines[0] += b'; filename="%b"' % random.choice(FILENAMES)
        lines.append(b"Content-Type: " + random.choice(TYPES))
    if random.random() < 0.15:
        lines[random.randrange(len(lines))] = random.choice(
            (b"", b":", b"Content-Disposition", b"Content-Disposition: attachment", b"X: " + b"y" * 9000, b"\x00: \x00",
             b"Content-Disposition: form-data", b"Content-Disposition: form-data; name*=utf-8''%ff",
             b"Content-Transfer-Encoding: base64", b"Content-Length: -5")
        )  # fmt: skip
    end = b"\n" if random.random() < 0.05 else b"\r\n"
    return b"--" + boundary + end + end.join(lines) + end * 2 + random.choice(VALUES) + end


def _form(random: Random, target: str, boundary: bytes) -> bytes:
    usual = random.random() < 0.5
    parts = _proper(target, boundary) if usual else []
    parts += [_part(random, boundary) for _ in range(random.choice((0, 0, 1) if usual else (0, 1, 2, 3, 5, 30)))]
    body = b"".join(parts)
    if random.random() < 0.9:
        body += b"--" + boundary + b"--\r\n"
    if random.random() < 0.2:
        place = random.randrange(len(body) + 1)
        body = random.choice(
            (body[:place], body[:place] + random.randbytes(9) + body[place:], body + body, b"\r\n" + body)
        )
    return body


def _multipart(random: Random, start: Mapping[str, str]) -> Case:
    boundary = random.choice((b"b", b"----x", b"a" * 70, b"'()+_,-./:=?", b"--"))
    target = random.choice(UPLOADS)
    body, told = _form(random, target, boundary), boundary
    if random.random() < 0.1:
        told = random.choice((b"", b"other", b'"', b"\xff", b"x" * 5000, b"b; charset=\xff", b'"b"; boundary=c'))
    kind = b"multipart/form-data; boundary=" + told
    if random.random() < 0.05:
        kind = random.choice(_KINDS_OF_BODY)
    headers = [(b"Content-Type", kind), (b"Connection", b"close")]
    whole = random.random() < 0.9
    if random.random() < 0.2:
        headers.append((b"Transfer-Encoding", b"chunked"))
        body = _chunked(random, body, whole=whole)
    else:
        size = len(body) if whole else random.choice((len(body) + 5, max(0, len(body) - 3)))
        headers.append((b"Content-Length", b"%d" % size))
    query = b"?portal_events=1" if random.random() < 0.1 else b""
    return Case("multipart", _request("POST", target.encode() + query, start, headers, body), whole=whole)


def _chunked(random: Random, body: bytes, *, whole: bool) -> bytes:
    chunks, place = [], 0
    while place < len(body):
        size = random.choice((1, 7, 100, 4000))
        piece = body[place : place + size]
        chunks.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        place += size
    if not whole and chunks:
        chunks[random.randrange(len(chunks))] = random.choice(
            (b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\n", b"5\r\nab")
        )
    return b"".join(chunks) + b"0\r\n\r\n"


_KINDS: Mapping[Callable[[Random, Mapping[str, str]], Case], int] = {
    _handshake: 5,
    _frames: 20,
    _messages: 25,
    _reconnect: 15,
    _multipart: 35,
}
