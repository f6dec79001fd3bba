"""What a model server says when it refuses: as much of it as is worth reading."""

from contextlib import suppress

import orjson

from portal.core.model import RawResponse
from portal.errors import BackendError
from portal.redaction import redact, redacted

_MOST = 64 * 2**10


async def beginning(reply: RawResponse) -> bytes:
    """The beginning of a refusal's body, without any key that the server repeats. One that breaks off or never ends is
    the same refusal: its status counts."""
    content = bytearray()
    with suppress(BackendError):
        async for chunk in reply.body:
            content += chunk
            if len(content) > _MOST:
                break
    return harmless(bytes(content[:_MOST]))


def harmless(content: bytes) -> bytes:
    """The same with no key, token, password or e-mail address in it; bytes that hold none stay what they are."""
    text = content.decode("utf-8", "replace")
    if (safe := redact(text)) == text:
        return content
    if _is_json(content) and not _is_json(safe):
        told = orjson.dumps(redacted(orjson.loads(content))).decode()
        safe = told if redact(told) == told else safe
    return safe.encode("utf-8")


def _is_json(content: bytes | str) -> bool:
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True
