"""Fonts for PDF files: one of this machine's that reads well, and others for the letters it lacks."""

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpdf import FPDF

PLACES = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts/Supplemental",
    "C:/Windows/Fonts",
)
_FAMILIES = (
    ("Carlito-Regular.ttf", "Carlito-Bold.ttf", "Carlito-Italic.ttf", "Carlito-BoldItalic.ttf"),
    ("calibri.ttf", "calibrib.ttf", "calibrii.ttf", "calibriz.ttf"),
    ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf", "NotoSans-Italic.ttf", "NotoSans-BoldItalic.ttf"),
    ("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf", "LiberationSans-Italic.ttf",
     "LiberationSans-BoldItalic.ttf"),
    ("Arial.ttf", "Arial Bold.ttf", "Arial Italic.ttf", "Arial Bold Italic.ttf"),
    ("arial.ttf", "arialbd.ttf", "ariali.ttf", "arialbi.ttf"),
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf"),
)  # fmt: skip
_MONO = ("DejaVuSansMono.ttf", "consola.ttf", "Menlo.ttc", "LiberationMono-Regular.ttf")
_OTHERS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "msyh.ttc",
           "Arial Unicode.ttf")  # fmt: skip
_STYLES = ("", "B", "I", "BI")


class Fonts:
    """The families that a file uses. Without any of the system's, letters beyond Western European ones are lost."""

    def __init__(self, pdf: "FPDF", places: tuple[str, ...] = PLACES) -> None:
        logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks upon the dates within fonts
        found = _found(places)
        chosen = next((one for one in _FAMILIES if all(name in found for name in one)), None)
        self.text, self.mono, self.plain = "Helvetica", "Courier", chosen is None
        self._known, self._box = set[str](), "?"
        if chosen is None:
            return
        for style, name in zip(_STYLES, chosen, strict=True):
            pdf.add_font("Text", style, str(found[name]))
        self.text = "Text"
        if mono := next((name for name in _MONO if name in found), None):
            pdf.add_font("Mono", "", str(found[mono]))
            self.mono = "Mono"
        others = [name for name in _OTHERS if name in found and name not in chosen][:3]
        for number, name in enumerate(others):
            pdf.add_font(f"Other{number}", "", str(found[name]))
        loaded: Any = pdf.fonts
        self._known = {chr(code) for font in loaded.values() for code in font.cmap}
        self._box = "□" if "□" in self._known else "?"
        pdf.set_fallback_fonts([f"Other{number}" for number in range(len(others))], exact_match=False)

    def fitting(self, text: str) -> str:
        """The text with letters that can be shown; a box stands for each other one."""
        if self.plain:
            return text.encode("latin-1", "replace").decode("latin-1")
        lacking = {ord(char): self._box for char in {*text} - self._known if char not in "\n\t"}
        return text.translate(lacking) if lacking else text


def _found(places: tuple[str, ...]) -> dict[str, Path]:
    wanted = {name for family in _FAMILIES for name in family} | {*_MONO, *_OTHERS}
    found: dict[str, Path] = {}
    for file in _files(places):
        if file.name in wanted:
            found.setdefault(file.name, file)
    return found


def _files(places: tuple[str, ...]) -> Iterator[Path]:
    for place in places:
        yield from Path(place).rglob("*.tt[fc]")
    if places and (charts := find_spec("matplotlib")) and charts.origin:
        yield from (Path(charts.origin).parent / "mpl-data/fonts/ttf").glob("DejaVuSans*.ttf")
