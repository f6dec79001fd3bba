"""Pictures made into other formats, by Pillow, which is in the extra `media`."""

import asyncio
import io
from typing import Literal, TypeAlias

from portal.core.media import Picture
from portal.errors import BadRequest, MediaError
from portal.extras import add_command

_SOLID = 255
Format: TypeAlias = Literal["png", "jpeg", "webp"]


async def opaque(picture: Picture) -> bool:
    """Whether nothing of it is transparent; False where that cannot be told without Pillow. Beside the event loop."""
    return await asyncio.to_thread(_opaque, picture.data)


def _opaque(data: bytes) -> bool:
    try:
        from PIL import Image
    except ImportError:
        return False
    try:
        with Image.open(io.BytesIO(data)) as opened:
            least, _ = opened.convert("RGBA").getchannel("A").getextrema()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # the engine says what it makes of it
        return False
    return bool(least == _SOLID)


async def converted(picture: Picture, wanted: Format, compression: int | None = None) -> Picture:
    """The same picture in this format; `compression` is the quality from 0 to 100. Beside the event loop.

    Raises:
        BadRequest: it has another format and Pillow is not installed.
        MediaError: it is damaged.
    """
    if picture.content_type == f"image/{wanted}" and compression is None:
        return picture
    return await asyncio.to_thread(_converted, picture, wanted, compression)


def _converted(picture: Picture, wanted: Format, compression: int | None) -> Picture:
    try:
        from PIL import Image
    except ImportError as error:
        raise BadRequest(
            f"To make {wanted.upper()} out of {picture.content_type.removeprefix('image/').upper()} Portal needs "
            f"Pillow: install it with `{add_command('media')}`, or take the other format.",
            param="output_format",
            code="unsupported_value",
        ) from error
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(picture.data)) as opened:
            plain = opened.convert("RGB") if wanted == "jpeg" else opened
            options = {} if compression is None or wanted == "png" else {"quality": compression}
            plain.save(out, format=wanted, **options)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        message = f"The picture is damaged: no {wanted.upper()} can be made of it."
        raise MediaError(message, code="damaged") from error
    ending = "jpg" if wanted == "jpeg" else wanted
    stem = picture.name.rpartition(".")[0] or picture.name
    return Picture(data=out.getvalue(), content_type=f"image/{wanted}", name=f"{stem}.{ending}")
