"""Pictures of a document: those of files, checked and brought to a kind that every program shows, and drawn charts."""

import io
from typing import TYPE_CHECKING

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools import charts
from portal.tools.office.content import Chart, Look, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 60_000_000
_WIDEST = 2200
_KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def picture(data: bytes, name: str, caption: str = "") -> Picture:
    """A picture that may go into a document. Raises ToolError."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ToolError(f"Pictures need Pillow: `{add_command('documents')}`.") from error
    try:
        with Image.open(io.BytesIO(data), formats=_KINDS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise ToolError(f"The picture {name!r} has more than {_MOST_PIXELS:,} pixels.")
            kind, turned = opened.format, ImageOps.exif_transpose(opened)
            turned.thumbnail((_WIDEST, _WIDEST))
            return Picture(_written(turned, kind == "JPEG"), turned.width, turned.height, caption)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ToolError(f"{name!r} is no picture that can be used; PNG, JPEG, GIF and WebP can.") from error


def drawn(chart: Chart, look: Look) -> Picture:
    """A chart as a picture. Raises ToolError."""
    x: list[str] | list[float] = list(chart.names)
    if chart.kind == "scatter":
        x = [_number(name, at) for at, name in enumerate(chart.names, 1)]
    series = charts.Series(x=x, y=chart.series)
    data = charts.draw(chart.kind, series, title=chart.title, name="chart.png", colours=look.series)
    return Picture(data, 1152, 691, chart=True)


def _number(name: str, otherwise: int) -> float:
    try:
        return float(name)
    except ValueError:
        return float(otherwise)


def _written(image: "Image", photo: bool) -> bytes:
    out = io.BytesIO()
    if photo:
        image.convert("RGB").save(out, "JPEG", quality=88)
    else:
        image.convert("RGBA" if image.mode in ("P", "LA", "RGBA", "PA") else "RGB").save(out, "PNG")
    return out.getvalue()
