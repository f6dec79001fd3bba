"""Pictures made into other formats, by Pillow, which is in the extra `media`."""

import asyncio
import io
from typing import Literal, TypeAlias

from portal.core.media import Picture
from portal.errors import BadRequest
from portal.extras import add_command

Format: TypeAlias = Literal["png", "jpeg", "webp"]


async def converted(picture: Picture, wanted: Format, compression: int | None = None) -> Picture:
    """The same picture in this format; `compression` is the quality from 0 to 100. Beside the event loop.

    Raises:
        BadRequest: it has another format and Pillow is not installed.
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
    with Image.open(io.BytesIO(picture.data)) as opened:
        plain = opened.convert("RGB") if wanted == "jpeg" else opened
        options = {} if compression is None or wanted == "png" else {"quality": compression}
        plain.save(out, format=wanted, **options)
    ending = "jpg" if wanted == "jpeg" else wanted
    stem = picture.name.rpartition(".")[0] or picture.name
    return Picture(data=out.getvalue(), content_type=f"image/{wanted}", name=f"{stem}.{ending}")
