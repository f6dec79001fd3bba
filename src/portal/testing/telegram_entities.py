"""How Telegram reads `parse_mode=HTML`: the text that is left, its entities, and its own words for what it refuses."""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TAGS = frozenset(
    "a b strong i em s strike del u ins tg-spoiler tg-emoji tg-time span pre code blockquote".split()  # noqa: SIM905
)
_KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("tg-spoiler", "span"), "spoiler"),
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-zA-Z]+));?")
_SPACE = " \t\r\n\v\f\0"
_MOST_ENTITIES = 100
_BLANK = "\u180e\u2800\u3164\ufe0f\ufffc"
_COMMAND = re.compile(r"(?<!\S)/[A-Za-z0-9_]{1,32}(?:@\w{3,32})?")
_MENTION = re.compile(r"(?<!\w)@\w{3,32}")


class TelegramRefusal(Exception):
    """What a method answers instead of a result."""

    def __init__(self, status: int, description: str, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.status, self.description, self.parameters = status, description, parameters or {}


def bad_request(description: str) -> TelegramRefusal:
    """The commonest one."""
    return TelegramRefusal(400, f"Bad Request: {description}")


def visible(text: str) -> bool:
    """Whether there is anything in a text that Telegram counts as content."""
    return not all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") or char in _BLANK for char in text)


def utf16(text: str) -> int:
    """How Telegram counts: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def plain_entities(text: str) -> list[dict[str, Any]]:
    """Commands and mentions, which Telegram finds by itself in what people write."""
    found = [("bot_command", match) for match in _COMMAND.finditer(text)]
    found += [("mention", match) for match in _MENTION.finditer(text)]
    return [
        {"type": kind, "offset": utf16(text[: match.start()]), "length": utf16(match.group())}
        for kind, match in sorted(found, key=lambda entry: entry[1].start())
    ]


def parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text and its entities, at most a hundred of them; or the refusal that Telegram would send."""
    parser = _Parser(source)
    parser.run()
    entities = sorted(parser.entities, key=lambda entity: (entity["offset"], -entity["length"]))
    for entity in entities:
        if entity["type"] == "code":
            entity.pop("language", None)  # only inside `pre`
    return "".join(parser.text), entities[:_MOST_ENTITIES]


def formatted(given: object, call: Mapping[str, Any], entities: str) -> tuple[str, list[dict[str, Any]]]:
    """A text after its entities were parsed, without the spaces around it."""
    text, found = str(given or ""), call.get(entities) or []
    mode = str(call.get("parse_mode") or "").lower()
    if mode == "html":
        text, found = parse_html(text)
    elif mode:
        raise bad_request("unsupported parse_mode")
    stripped = text.strip()
    lost = utf16(text[: len(text) - len(text.lstrip())])
    size = utf16(stripped)
    kept = []
    for entity in found:
        begin, end = max(entity["offset"] - lost, 0), min(entity["offset"] - lost + entity["length"], size)
        if end > begin:
            kept.append({**entity, "offset": begin, "length": end - begin})
    return stripped, kept


@dataclass(frozen=True, slots=True)
class _Open:
    tag: str
    argument: str
    offset: int


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.text: list[str] = []
        self.entities: list[dict[str, Any]] = []
        self._at, self._offset = 0, 0
        self._open: list[_Open] = []

    def run(self) -> None:
        while self._at < len(self.source):
            char = self.source[self._at]
            if char == "<":
                self._tag()
            elif char == "&":
                self._put(self._reference())
            else:
                self._put(char)
                self._at += 1
        if self._open:
            raise _refused(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')

    def _put(self, text: str) -> None:
        self.text.append(text)
        self._offset += utf16(text)

    def _char(self) -> str:
        return self.source[self._at] if self._at < len(self.source) else ""

    def _skip(self, stops: str) -> str:
        begin = self._at
        while self._char() and self._char() not in stops:
            self._at += 1
        return self.source[begin : self._at]

    def _spaces(self) -> None:
        while self._char() and self._char() in _SPACE:
            self._at += 1

    def _reference(self) -> str:
        match = _REFERENCE.match(self.source, self._at)
        code = None
        if match is not None and match[3] is None:
            code = int(match[1], 16) if match[1] else int(match[2])
        if match is None or (match[3] and match[3] not in _NAMED) or (code is not None and not 0 < code < 0x10FFFF):
            self._at += 1
            return "&"
        self._at = match.end()
        return _NAMED[match[3]] if code is None else html.unescape(f"&#{code};")

    def _tag(self) -> None:
        place = len(self.source[: self._at].encode("utf-8", "surrogatepass"))
        self._at += 1
        if self._char() == "/":
            self._at += 1
            self._end(place)
        else:
            self._start(place)

    def _start(self, place: int) -> None:
        tag = self._skip(_SPACE + ">").lower()
        if not self._char():
            raise _refused(f"Unclosed start tag at byte offset {place}")
        if tag not in _TAGS:
            raise _refused(f'Unsupported start tag "{tag}" at byte offset {place}')
        argument = ""
        while True:
            self._spaces()
            if self._char() == ">":
                break
            name, value = self._attribute(tag, place)
            argument = _argument(tag, name, value) or argument
        self._at += 1
        if tag == "span" and argument != "spoiler":
            raise _refused(f'Tag "span" must have class "tg-spoiler" at byte offset {place}')
        self._open.append(_Open(tag, argument, self._offset))

    def _attribute(self, tag: str, place: int) -> tuple[str, str]:
        name = self._skip(_SPACE + "=>/\"'")
        if not name:
            raise _refused(f'Empty attribute name in the tag "{tag}" at byte offset {place}')
        self._spaces()
        if self._char() != "=":
            if not self._char():
                raise _refused(f'Unclosed start tag "{tag}" at byte offset {place}')
            return name, name
        self._at += 1
        self._spaces()
        quote = self._char()
        if quote and quote in "\"'":
            self._at += 1
            value = self._skip(quote)
            self._at += 1
        else:
            begin = self._at
            value = self._skip(_SPACE + ">")
            if not re.fullmatch(r"[A-Za-z0-9.-]*", value):
                offset = len(self.source[:begin].encode("utf-8", "surrogatepass"))
                raise _refused(f"Unexpected end of name token at byte offset {offset}")
        if not self._char():
            raise _refused(f"Unclosed start tag at byte offset {place}")
        return name, html.unescape(value)

    def _end(self, place: int) -> None:
        if not self._open:
            raise _refused(f"Unexpected end tag at byte offset {place}")
        tag = self._skip(_SPACE + ">")
        self._spaces()
        if self._char() != ">":
            raise _refused(f"Unclosed end tag at byte offset {place}")
        self._at += 1
        begun = self._open.pop()
        if tag and tag != begun.tag:
            found = f'expected "</{begun.tag}>", found "</{tag}>"'
            raise _refused(f"Unmatched end tag at byte offset {place}, {found}")
        if self._offset > begun.offset:
            self._entity(begun)

    def _entity(self, begun: _Open) -> None:
        made: dict[str, Any] = {"offset": begun.offset, "length": self._offset - begun.offset}
        if begun.tag in _KINDS:
            made["type"] = _KINDS[begun.tag]
        elif begun.tag == "a":
            url = begun.argument or "".join(self.text)
            if not re.match(r"(?:https?|tg|tonsite|mailto|ftp)://?\S", url):
                return  # a link that is none is left as text
            made |= {"type": "text_link", "url": url}
        elif begun.tag == "blockquote":
            made["type"] = "expandable_blockquote" if begun.argument else "blockquote"
        elif begun.tag in ("pre", "code"):
            made["type"] = begun.tag
            last = self.entities[-1] if self.entities else None
            if begun.tag == "pre" and last is not None and last["type"] == "code" and last["offset"] == made["offset"]:
                self.entities.pop()
                made |= {"language": last["language"]} if "language" in last else {}
            if begun.tag == "code" and begun.argument:
                made["language"] = begun.argument
        else:
            return
        self.entities.append(made)


def _argument(tag: str, name: str, value: str) -> str:
    if tag == "a" and name == "href":
        return value
    if tag == "code" and name == "class" and value.startswith("language-"):
        return value.removeprefix("language-")
    if tag == "span" and name == "class" and value.startswith("tg-"):
        return value.removeprefix("tg-")
    return "1" if tag == "blockquote" and name == "expandable" else ""


def _refused(message: str) -> TelegramRefusal:
    return bad_request(f"can't parse entities: {message}")
