"""Text, source code and Markdown: their bytes decoded, whatever they are, and their parts found."""

import codecs
import re
from collections.abc import Iterator

from portal.knowledge.extract_draft import Draft, flat

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"[^\n]*\n?")
_RULE = re.compile(r"\s{0,3}(=+|-+|~+|\^+)\s*")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r"\s*(```+|~~~+)(.*)")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
_PICTURE = re.compile(r"data:image/[\w.+-]{1,40};base64,[A-Za-z0-9+/=]{100,}")
_PAUSE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}")
_DASHES = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_FIELD = re.compile(r"(?i)(title|author|date|description|summary|tags|keywords)\s*:\s*(\S.*)")


def decode(data: bytes, charset: str = "") -> str:
    """The text, line ends as `\\n`: by its mark, the charset that is stated, UTF-8, or else Western European."""
    return _decoded(data, charset).replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, charset: str) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if charset:
        try:
            return data.decode(charset, "replace")
        except (LookupError, UnicodeError, ValueError):
            pass
    return _guessed(data)


def _guessed(data: bytes) -> str:
    if wide := _wide(data):
        return data.decode(wide, "replace")
    lenient = data.decode("utf-8", "replace")
    broken = lenient.count("\ufffd")
    if broken <= 4 * sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", lenient))):
        return lenient  # letters that are whole in UTF-8 hardly come by chance
    return data.decode("cp1252", "replace")


def _wide(data: bytes) -> str:
    """UTF-16 without a mark shows itself by every other byte being nought."""
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < len(head) // 5 or min(even, odd) * 8 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def read_plain(text: str, draft: Draft) -> None:
    """Paragraphs between blank lines; a line that is underlined heads what follows."""
    lines: list[str] = []
    for line in _lines(text):
        if len(lines) == 1 and _RULE.fullmatch(line) and len(line.strip()) * 2 > len(lines[0].strip()) > 0:
            draft.heading(1 if line.strip()[0] == "=" else 2, lines[0])
            lines = []
        elif line.strip():
            lines.append(line)
        else:
            draft.text("\n".join(lines))
            lines = []
    draft.text("\n".join(lines))


def read_code(text: str, draft: Draft) -> None:
    """One block."""
    draft.code(text)


def _lines(text: str) -> Iterator[str]:
    """Without copying them all at once."""
    for match in _LINE.finditer(text):
        if match.group():
            yield match.group().rstrip("\n")


def read_markdown(text: str, draft: Draft) -> None:
    """Headings, paragraphs, lists, tables and fenced code; what stands in its head is metadata."""
    _Markdown(draft).read(_PICTURE.sub("", text))


class _Markdown:
    """One pass over the lines; `_held` are those of the paragraph, list or table that is being read."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._held: list[str] = []
        self._kind = "text"
        self._fence = ""

    def read(self, text: str) -> None:
        for line in _lines(self._after_head(text)):
            self._line(line)
        self._flush()

    def _after_head(self, text: str) -> str:
        if not text.startswith("---\n") or (end := text.find("\n---\n", 3, 20_000)) < 0:
            return text
        for line in text[4:end].splitlines():
            if field := _FIELD.fullmatch(line.strip()):
                name, value = field[1].lower(), field[2].strip("\"' ")
                self._draft.metadata[name] = value
                if name == "title":
                    self._draft.title = value
        return text[end + 5 :]

    def _line(self, line: str) -> None:
        if self._kind == "comment":
            self._kind = "text" if "-->" in line else "comment"
        elif self._kind == "code":
            self._in_code(line)
        elif line.startswith("<!--") and not (self._held and self._held[-1]):
            self._turn("text" if "-->" in line else "comment")
        elif fence := _FENCE.fullmatch(line):
            self._turn("code")
            self._fence = fence[1]
        elif heading := _HEADING.fullmatch(line):
            self._turn("text")
            self._draft.heading(len(heading[1]), heading[2] or "")
        elif not line.strip():
            self._blank()
        elif _PAUSE.fullmatch(line) and not (self._held and line[0] == "-"):
            self._turn("text")
        elif self._kind == "text" and len(self._held) == 1 and self._under(line):
            pass
        elif _ITEM.match(line):
            if self._kind != "list":
                self._turn("list")
            self._held.append(line)
        elif self._kind == "list" and self._held:
            self._continue(line)
        else:
            self._held.append(line)

    def _under(self, line: str) -> bool:
        """Whether the line says what the one above it is: a heading, or the head of a table."""
        if "|" in self._held[0] and "-" in line and _DASHES.fullmatch(line):
            self._kind = "table"
            return True
        if (rule := _RULE.fullmatch(line)) and rule[1][0] in "=-":
            held, self._held = self._held[0], []
            self._draft.heading(1 if rule[1][0] == "=" else 2, held)
            return True
        return False

    def _in_code(self, line: str) -> None:
        if line.strip().startswith(self._fence) and not line.strip(" \t" + self._fence[0]):
            self._turn("text")
        else:
            self._held.append(line)

    def _blank(self) -> None:
        if self._kind != "list":
            self._turn("text")
        else:
            self._held.append("")

    def _continue(self, line: str) -> None:
        """Below an item: more of it if it is indented or follows at once, else a paragraph of its own."""
        if self._held[-1] and len(self._held[-1]) < 4000:
            self._held[-1] += " " + line.strip()
        elif line[0] in " \t":
            self._held.append(line)
        else:
            self._turn("text")
            self._held.append(line)

    def _turn(self, kind: str) -> None:
        self._flush()
        self._kind = kind

    def _flush(self) -> None:
        held, self._held = self._held, []
        if self._kind == "code":
            self._draft.code("\n".join(held))
        elif self._kind == "list":
            self._draft.items(held)
        elif self._kind == "table":
            self._draft.table(map(_cells, held))
        elif self._kind == "text":
            self._draft.text("\n".join(held))
        if self._kind != "code":
            self._kind = "text"


def _cells(row: str) -> list[str]:
    return [flat(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
