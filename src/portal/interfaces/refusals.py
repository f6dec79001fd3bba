"""What a model server says when it refuses: as much of it as is worth reading."""

from contextlib import suppress

from portal.core.model import RawResponse
from portal.errors import BackendError

_MOST = 64 * 2**10


async def beginning(reply: RawResponse) -> bytes:
    """The beginning of a refusal's body. One that breaks off or never ends is the same refusal: its status counts."""
    content = bytearray()
    with suppress(BackendError):
        async for chunk in reply.body:
            content += chunk
            if len(content) > _MOST:
                break
    return bytes(content[:_MOST])
