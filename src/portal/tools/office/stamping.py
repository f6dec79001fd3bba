"""What is stamped on pages: a line at an edge, or one across the whole."""

import io
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office.fonts import Fonts

Where: TypeAlias = Literal[
    "across", "top", "top-left", "top-right", "bottom", "bottom-left", "bottom-right"
]  # fmt: skip
_SIZE, _MARGIN = 10.0, 28.0
_LARGEST, _SMALLEST = 120.0, 8.0
_FILLED = 0.75
"""How much of a page's diagonal a text across it takes."""


def stamps(texts: Sequence[str], sizes: Sequence[tuple[float, float]], where: Where) -> bytes:
    """A PDF with a page for each text, empty but for it; sizes in points. Raises ToolError."""
    try:
        from fpdf import FPDF
    except ImportError as error:
        raise ToolError(f"Stamping needs fpdf2: install it with `{add_command('documents')}`.") from error
    pdf: Any = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.c_margin = 0
    fonts = Fonts(pdf)
    for text, size in zip(texts, sizes, strict=True):
        pdf.add_page(format=size)
        line = fonts.fitting(" ".join(text.split()))
        if where == "across":
            _across(pdf, fonts, line, size)
        else:
            _edge(pdf, fonts, line, size, where)
    out = io.BytesIO()
    pdf.output(out)
    return out.getvalue()


def _across(pdf: Any, fonts: Fonts, line: str, size: tuple[float, float]) -> None:
    """Large, grey and seen through, from one corner towards the other."""
    width, height = size
    pdf.set_font(fonts.text, "B", 100)
    points = min(_LARGEST, max(_SMALLEST, 100 * _FILLED * math.hypot(width, height) / pdf.get_string_width(line)))
    pdf.set_font(fonts.text, "B", points)
    length = pdf.get_string_width(line)
    turned = pdf.rotation(math.degrees(math.atan2(height, width)), width / 2, height / 2)
    with turned, pdf.local_context(fill_opacity=0.18):
        pdf.set_text_color(90, 90, 90)
        pdf.text((width - length) / 2, height / 2 + points / 3, line)


def _edge(pdf: Any, fonts: Fonts, line: str, size: tuple[float, float], where: Where) -> None:
    width, height = size
    pdf.set_font(fonts.text, "", _SIZE)
    pdf.set_text_color(60, 60, 60)
    length = pdf.get_string_width(line)
    left = {"left": _MARGIN, "right": width - _MARGIN - length}.get(where.partition("-")[2], (width - length) / 2)
    pdf.text(max(left, 0), _MARGIN + _SIZE / 3 if where.startswith("top") else height - _MARGIN + _SIZE / 3, line)
