"""The design of new presentations: python-pptx's plain one made wide, with colours, fonts and places of our own."""

from typing import TYPE_CHECKING, Any

from portal.tools.office.content import Look

if TYPE_CHECKING:
    from pptx.presentation import Presentation

INCH = 914_400
WIDTH, HEIGHT = int(13.333 * INCH), int(7.5 * INCH)
LEFT, TOP, ACROSS, DOWN = int(0.75 * INCH), int(1.55 * INCH), WIDTH - int(1.5 * INCH), int(5.1 * INCH)
TITLE, CONTENT, SECTION, ALONE = 0, 1, 2, 5
"""Numbers of the plain presentation's layouts that are used."""
LAYOUTS = (TITLE, CONTENT, SECTION, ALONE)
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"


def design(deck: "Presentation", look: Look) -> None:
    """Give a new presentation its design."""
    deck.slide_width, deck.slide_height = WIDTH, HEIGHT
    _theme(deck, look)
    master: Any = deck.slide_master
    _places(master, {"TITLE": (LEFT, int(0.5 * INCH), ACROSS, int(0.85 * INCH)), "BODY": (LEFT, TOP, ACROSS, DOWN)})
    _footers(master)
    layouts = list(deck.slide_layouts)
    for at, layout in enumerate(layouts):
        if at not in LAYOUTS:
            deck.slide_layouts.remove(layout)
            continue
        for shape in list(layout.placeholders):
            kind = shape.placeholder_format.type.name
            if kind in ("DATE", "FOOTER"):
                shape._element.getparent().remove(shape._element)
            elif kind == "SLIDE_NUMBER" or at in (CONTENT, ALONE):
                _inherited(shape)
    _text(master, look)
    _cover(layouts[TITLE], look.accent, 2.6, "FFFFFF")
    _cover(layouts[SECTION], look.accent, 2.9, "FFFFFF")
    for number in (CONTENT, ALONE):
        _bar(layouts[number], look)


def _theme(deck: "Presentation", look: Look) -> None:
    """Colours and fonts, so that what people add later fits."""
    from lxml import etree
    from pptx.opc.constants import RELATIONSHIP_TYPE

    part = deck.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    root = etree.fromstring(part.blob, etree.XMLParser(resolve_entities=False))
    colours = {f"accent{at}": one for at, one in enumerate(look.series[:6], 1)}
    colours |= {"dk2": look.ink, "lt2": look.tint, "hlink": look.accent, "folHlink": look.quiet}
    for name, colour in colours.items():
        held = root.find(f".//{{{_A}}}{name}")
        for one in list(held):
            held.remove(one)
        etree.SubElement(held, f"{{{_A}}}srgbClr").set("val", colour)
    for latin in root.iterfind(f".//{{{_A}}}fontScheme/*/{{{_A}}}latin"):
        latin.set("typeface", look.font)
    part._blob = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def _places(holder: Any, places: dict[str, tuple[int, int, int, int]]) -> None:
    for shape in holder.placeholders:
        if place := places.get(shape.placeholder_format.type.name):
            shape.left, shape.top, shape.width, shape.height = place


def _footers(master: Any) -> None:
    for shape in list(master.placeholders):
        kind = shape.placeholder_format.type.name
        if kind in ("DATE", "FOOTER"):
            shape._element.getparent().remove(shape._element)
        elif kind == "SLIDE_NUMBER":
            shape.left, shape.top, shape.width, shape.height = (
                WIDTH - int(1.75 * INCH), int(6.95 * INCH), INCH, int(0.35 * INCH))  # fmt: skip


def _inherited(shape: Any) -> None:
    """Let the master say where it is."""
    held = shape._element.spPr
    for one in list(held):
        held.remove(one)


def _text(master: Any, look: Look) -> None:
    """Sizes and colours of titles and of the levels of text."""
    styles = master._element.find(".//{*}txStyles")
    title = styles.find("{*}titleStyle/{*}lvl1pPr")
    title.set("algn", "l")
    _run(title, 30, look.ink, bold=True)
    for level, size in enumerate((20, 18, 16, 15, 15), 1):
        held = styles.find(f"{{*}}bodyStyle/{{*}}lvl{level}pPr")
        _run(held, size, look.ink)
        held.set("marL", str(285_750 * level))
        held.set("indent", "-257175")
        for old in held.findall("{*}spcBef"):
            old.clear()
            old.append(old.makeelement(f"{{{_A}}}spcPts", {"val": "700" if level == 1 else "350"}))
        for bullet in held.findall("{*}buChar"):
            bullet.set("char", "•" if level % 2 else "–")
    for shape in master.placeholders:
        frame = shape._element.find(".//{*}bodyPr")
        if shape.placeholder_format.type.name == "TITLE":
            frame.set("anchor", "b")
        frame.set("lIns", "0")
        if shape.placeholder_format.type.name == "SLIDE_NUMBER":
            held = shape._element.find(".//{*}lvl1pPr")
            held.set("algn", "r")
            _run(held, 11, look.quiet)


def _run(holder: Any, size: float, colour: str, *, bold: bool = False) -> None:
    held = holder.find("{*}defRPr")
    held.set("sz", str(int(size * 100)))
    held.set("b", "1" if bold else "0")
    for fill in held.findall("{*}solidFill"):
        held.remove(fill)
    fill = held.makeelement(f"{{{_A}}}solidFill", {})
    fill.append(fill.makeelement(f"{{{_A}}}srgbClr", {"val": colour}))
    held.insert(0, fill)


def _cover(layout: Any, fill: str, top: float, ink: str) -> None:
    """A whole slide in the accent, with a title and a line below."""
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
    from pptx.util import Pt

    layout.background.fill.solid()
    layout.background.fill.fore_color.rgb = RGBColor.from_string(fill)
    for shape in layout.placeholders:
        kind = shape.placeholder_format.type.name
        if kind == "SLIDE_NUMBER":
            shape._element.getparent().remove(shape._element)
            continue
        title = "TITLE" in kind and "SUB" not in kind
        place = (top - 1.3, 1.6) if title else (top + 0.45, 1.2)
        shape.left, shape.width = int(1.1 * INCH), WIDTH - int(2.2 * INCH)
        shape.top, shape.height = int(place[0] * INCH), int(place[1] * INCH)
        frame = shape.text_frame
        frame.vertical_anchor = MSO_ANCHOR.BOTTOM if title else MSO_ANCHOR.TOP
        levels = shape._element.find(".//{*}lstStyle")
        for one in list(levels):
            levels.remove(one)
        size, bold = (40, "1") if title else (20, "0")
        from lxml import etree

        level = etree.fromstring(
            f'<a:lvl1pPr xmlns:a="{_A}" marL="0" indent="0" algn="l"><a:buNone/><a:defRPr sz="{size * 100}" b="{bold}" '
            f'cap="none"><a:solidFill><a:srgbClr val="{ink}"/></a:solidFill></a:defRPr></a:lvl1pPr>'
        )
        levels.append(level)
        for paragraph in frame.paragraphs:
            paragraph.alignment = PP_ALIGN.LEFT
    line = _box(layout, int(1.1 * INCH), int((top + 0.38) * INCH), int(1.4 * INCH), Pt(3))
    line.fill.solid()
    line.fill.fore_color.rgb = RGBColor.from_string(ink)


def _bar(layout: Any, look: Look) -> None:
    """A short line of the accent under the title."""
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    line = _box(layout, LEFT, int(1.38 * INCH), int(0.9 * INCH), Pt(3))
    line.fill.solid()
    line.fill.fore_color.rgb = RGBColor.from_string(look.accent)


def _box(layout: Any, left: int, top: int, width: int, height: int) -> Any:
    """A rectangle on a layout, which python-pptx has no method for."""
    from pptx.oxml.shapes.autoshape import CT_Shape
    from pptx.shapes.autoshape import Shape

    number = 100 + len(layout.shapes)
    shape = CT_Shape.new_autoshape_sp(number, f"Line {number}", "rect", left, top, width, height)
    for style in shape.findall("{*}style"):
        shape.remove(style)
    layout.shapes._spTree.append(shape)
    made = Shape(shape, layout.shapes)
    made.line.fill.background()
    return made
