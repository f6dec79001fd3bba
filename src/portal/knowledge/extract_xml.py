"""XML, read as it streams by: no tree is built, no entity is expanded, nothing is fetched."""

from collections.abc import Mapping
from typing import Protocol
from xml.parsers import expat

from portal.errors import BadRequest
from portal.knowledge.extract_draft import Draft, flat
from portal.knowledge.extract_text import decode, read_code

_DEEPEST = 5000
Attributes = Mapping[str, str]


class Events(Protocol):
    """What happens along a document; names come without their namespace's prefix, those of
    attributes with and without."""

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """It ends."""

    def text(self, text: str) -> None:
        """A piece of text."""


class Silent:
    """Events of which only those that a subclass overrides matter."""

    def start(self, name: str, attributes: Attributes) -> None:
        """Nothing."""

    def end(self, name: str) -> None:
        """Nothing."""

    def text(self, text: str) -> None:
        """Nothing."""


def walk(data: bytes, events: Events) -> None:
    """Tell `events` what is in there.

    Raises:
        BadRequest: it is no XML, nested absurdly, or declares entities of its own.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise _refused("is nested too deeply")
        own = {each: value for each, value in attributes.items() if not each.startswith("xmlns")}
        events.start(_local(name), {**{_local(each): value for each, value in own.items()}, **own})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        events.end(_local(name))

    def entity(*_declared: object) -> None:
        raise _refused("declares entities, which are not followed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = events.text
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _refused(f"is damaged ({error})") from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _refused(what: str) -> BadRequest:
    return BadRequest(f"Its XML {what}.", code="invalid_file")


def read_xml(data: bytes, draft: Draft) -> None:
    """Values beside the names of their elements; what cannot be parsed is read as it stands."""
    lines = _Lines()
    try:
        walk(data, lines)
    except BadRequest as error:
        draft.warn(f"{error.message} It was read as plain text.")
        read_code(decode(data), draft)
        return
    for record in lines.records:
        draft.text(record)


class _Lines:
    """`name: text` for every element with text of its own; what is marked up within a sentence stays in it."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self._open: list[tuple[str, list[str], bool]] = []
        self._held: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        inline = bool(self._open) and any(map(str.strip, self._open[-1][1]))
        self._open.append((name, self._open[-1][1] if inline else [], inline))
        kept = [(each, flat(value)) for each, value in attributes.items() if ":" not in each]
        self._held += [f"{name}.{each}: {value}" for each, value in kept if value]

    def end(self, name: str) -> None:
        _, words, inline = self._open.pop()
        if not inline and (text := flat("".join(words))):
            self._held.append(f"{name}: {text}")
        if len(self._open) <= 2 and self._held:
            self.records.append("\n".join(self._held))
            self._held = []

    def text(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)
