"""The kinds of lists of a Word file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docx.document import Document

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


class Numbering:
    """The kinds of lists of one file: one of bullets, and a count of its own for each numbered list."""

    def __init__(self, document: "Document") -> None:
        self._document = document
        self._held: Any = None
        self._made: dict[str, int] = {}

    @property
    def _root(self) -> Any:
        """Where a file says how it counts; made where it never did."""
        if self._held is None:
            self._held = _counting(self._document).element
        return self._held

    @property
    def bullets(self) -> int:
        """The number of the list of bullets."""
        return self._number("bullet")

    def counted(self, depth: int, start: int) -> int:
        """The number of a new numbered list that begins at `start`."""
        self._kind("decimal")
        again = f'<w:lvlOverride w:ilvl="{depth}"><w:startOverride w:val="{max(start, 0)}"/></w:lvlOverride>'
        return self._list(self._made["decimal"], again)

    def _number(self, kind: str) -> int:
        self._kind(kind)
        if f"{kind} list" not in self._made:
            self._made[f"{kind} list"] = self._list(self._made[kind], "")
        return self._made[f"{kind} list"]

    def _kind(self, kind: str) -> None:
        if kind in self._made:
            return
        from docx.oxml import parse_xml

        held = self._root.findall(f"{{{_W}}}abstractNum")
        number = 1 + max((int(one.get(f"{{{_W}}}abstractNumId")) for one in held), default=0)
        levels = "".join(_level(kind, depth) for depth in range(9))
        made = parse_xml(
            f'<w:abstractNum xmlns:w="{_W}" w:abstractNumId="{number}"><w:multiLevelType w:val="hybridMultilevel"/>'
            f"{levels}</w:abstractNum>"
        )
        if held:
            held[-1].addnext(made)
        else:
            self._root.insert(0, made)
        self._made[kind] = number

    def _list(self, kind: int, override: str) -> int:
        from docx.oxml import parse_xml

        held = self._root.findall(f"{{{_W}}}num")
        number = 1 + max((int(one.get(f"{{{_W}}}numId")) for one in held), default=0)
        made = parse_xml(
            f'<w:num xmlns:w="{_W}" w:numId="{number}"><w:abstractNumId w:val="{kind}"/>{override}</w:num>'
        )
        after = held or self._root.findall(f"{{{_W}}}abstractNum")
        after[-1].addnext(made)
        return number


def _counting(document: "Document") -> Any:
    from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.oxml import parse_xml
    from docx.parts.numbering import NumberingPart

    try:
        return document.part.part_related_by(RELATIONSHIP_TYPE.NUMBERING)
    except KeyError:
        element = parse_xml(f'<w:numbering xmlns:w="{_W}"/>')
        place = PackURI("/word/numbering.xml")
        made = NumberingPart(place, CONTENT_TYPE.WML_NUMBERING, element, document.part.package)
        document.part.relate_to(made, RELATIONSHIP_TYPE.NUMBERING)
        return made


def _level(kind: str, depth: int) -> str:
    text = ("•", "–", "◦")[depth % 3] if kind == "bullet" else f"%{depth + 1}."
    form = "bullet" if kind == "bullet" else ("decimal", "lowerLetter", "lowerRoman")[depth % 3]
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/>'
        f'<w:lvlJc w:val="left"/><w:pPr><w:ind w:left="{425 * (depth + 1)}" w:hanging="325"/></w:pPr></w:lvl>'
    )
