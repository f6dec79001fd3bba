"""PDF files out of Markdown, laid out plainly; nothing in the text is fetched or read from disk."""

import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from portal.errors import ToolError
from portal.extras import add_command

if TYPE_CHECKING:
    from fpdf import FPDF

_SYSTEM = (
    "/usr/share/fonts/truetype/dejavu",
    "/usr/share/fonts/dejavu-sans-fonts",
    "/usr/share/fonts/TTF",
    "/Library/Fonts",
    "/System/Library/Fonts/Supplemental",
    "C:/Windows/Fonts",
)
_FONTS = (
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf"),
    ("Arial.ttf", "Arial Bold.ttf", "Arial Italic.ttf", "Arial Bold Italic.ttf"),
    ("arial.ttf", "arialbd.ttf", "ariali.ttf", "arialbi.ttf"),
)
_STYLES = ("", "B", "I", "BI")


def from_markdown(text: str, title: str, folders: tuple[str, ...] = _SYSTEM) -> bytes:
    """The file. Without a font of the system's, letters beyond Western European ones become question marks.

    Raises:
        ToolError: the library is missing, or the text cannot be laid out.
    """
    try:
        from fpdf import FPDF, FontFace
        from fpdf.errors import FPDFException
    except ImportError as error:
        raise ToolError(f"Making a PDF needs fpdf2: install it with `{add_command('documents')}`.") from error
    pdf = FPDF(format="A4")
    pdf.set_margin(20)
    pdf.set_title(title)
    pdf.add_page()
    family = _font(pdf, folders)
    html = _html(text if family != "Helvetica" else text.encode("latin-1", "replace").decode("latin-1"))
    pdf.set_font(family, size=11)
    mono = FontFace(family="Courier" if family == "Helvetica" else family, size_pt=9)
    try:
        pdf.write_html(html, font_family=family, tag_styles={"code": mono, "pre": mono})
    except (FPDFException, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ToolError(f"This text cannot be laid out: {error}") from error
    out = io.BytesIO()
    pdf.output(out)
    return out.getvalue()


def _html(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text))


def _font(pdf: "FPDF", folders: tuple[str, ...]) -> str:
    """The family of a font with letters of many scripts, or the plain one."""
    for folder in _folders(folders):
        for files in _FONTS:
            if all((folder / name).is_file() for name in files):
                for style, name in zip(_STYLES, files, strict=True):
                    pdf.add_font("Text", style, str(folder / name))
                return "Text"
    return "Helvetica"


def _folders(folders: tuple[str, ...]) -> Iterator[Path]:
    yield from map(Path, folders)
    if folders and (charts := find_spec("matplotlib")) and charts.origin:
        yield Path(charts.origin).parent / "mpl-data/fonts/ttf"
