"""An export of a Portal, read again: JSON Lines, a file for each kind, and the files under their names."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from portal.core.exchange import Arriving, derived_id
from portal.core.items import TERMINAL
from portal.core.memories import LONGEST, SCOPE, MemoryRecord
from portal.core.records import ResponseRecord
from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.elements import Broken, elements
from portal.exchange.fields import identity, listed, mapping, moment, text
from portal.exchange.shape import Attached, Fact, Kind, Left, Persona, Piece, Shelf, Threads, Upload

SOURCE = "portal"
MANIFEST = "portal-export.json"
_AT_ONCE = 1000
"""Responses that are handed on together."""
_LARGEST_MANIFEST = 2**20
_ID = re.compile(r"\b(?:conv|file|mem|fold)_[0-9a-f]{32}\b")
_TIMED = re.compile(r"([a-z]+)_([0-9a-f]{12})[0-9a-f]{20}")
_NOT_TAKEN: Mapping[Kind, str] = {
    "collections": "its files are there: put them into a collection",
    "schedules": "what runs by itself is made anew",
    "keys": "a key is never in an export: make a new one",
}
_KINDS = ("fact", "preference", "episode")
_STATES = ("active", "proposed", "superseded")


class Own:
    """Reads one. The owner of the export gets the very same ids again, everybody else ids of their own."""

    def __init__(self, archive: Archive, owner: str) -> None:
        self._archive, self._owner = archive, owner
        self._same = False
        self._known: set[str] = set()
        """Ids of what may be named inside others."""

    def pieces(self) -> Iterator[Piece]:
        """All that is in it: first what others refer to."""
        if not self._archive.is_zip:
            yield from self._single()
            return
        self._same = self._whose() == self._owner
        heads = dict(self._heads())
        files = [one for one in self._lines("files.jsonl") if not isinstance(one, Broken)]
        self._known = {*heads, *(text(one.get("id")) for one in files)}
        for one in files:
            yield Upload(file=self._file(one))
        for kind, make in (("folders", self._shelf), ("workspaces", self._persona)):
            for one in self._lines(f"{kind}.jsonl"):
                yield from self._each(kind, one, make)
        yield from self._memories()
        for kind, reason in _NOT_TAKEN.items():
            for one in self._lines(f"{kind}.jsonl"):
                yield Left(kind=kind, name="" if isinstance(one, Broken) else text(one.get("name")), reason=reason)
        yield from self._threads(self._lines("responses.jsonl"), heads)

    def _single(self) -> Iterator[Piece]:
        """One conversation, as the page hands it out."""
        with self._archive.open(self._archive.filename) as file:
            for element in elements(file):
                one = mapping(element)
                fields = mapping(one.get("conversation"))
                if not text(fields.get("id")):
                    yield Left(kind="conversations", name="", reason="it is no conversation of Portal")
                    continue
                self._same = text(mapping(one.get("owner")).get("id")) == self._owner
                heads = {text(fields["id"]): orjson.dumps(fields)}
                yield from self._threads(iter(listed(one.get("responses"))), heads)

    def _whose(self) -> str:
        name = self._archive.find(MANIFEST)
        if name is None:
            return ""
        try:
            told = orjson.loads(self._archive.read(name, _LARGEST_MANIFEST))
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"{MANIFEST} in the zip is damaged.", code="invalid_file") from error
        return text(mapping(mapping(told).get("owner")).get("id"))

    def _lines(self, name: str) -> Iterator[Any]:
        member = self._archive.find(name)
        if member is None:
            return
        with self._archive.open(member) as file:
            try:
                for one in elements(file):
                    yield one if isinstance(one, Broken) else mapping(one)
            except ValueError:
                return  # it is empty

    def _heads(self) -> Iterator[tuple[str, bytes]]:
        """Conversations without their responses, as short as they can be kept."""
        for one in self._lines("conversations.jsonl"):
            if not isinstance(one, Broken) and text(one.get("id")):
                yield text(one.get("id")), orjson.dumps(one)

    def _each(self, kind: Any, one: Any, make: Callable[[Mapping[str, Any]], Piece]) -> Iterator[Piece]:
        if isinstance(one, Broken):
            yield Left(kind=kind, name="", reason=one.reason)
        else:
            yield make(one)

    def _shelf(self, one: Mapping[str, Any]) -> Piece:
        return Shelf(
            id=text(one.get("id")),
            name=text(one.get("name")) or "Folder",
            instructions=text(one.get("instructions")),
            created=moment(one.get("created_at")),
            model=text(one.get("model")) or None,
            files=[Attached(key=each, filename="") for each in listed(one.get("file_ids")) if isinstance(each, str)],
        )

    def _persona(self, one: Mapping[str, Any]) -> Piece:
        return Persona(name=text(one.get("name")), fields=dict(mapping(one.get("fields"))))

    def _file(self, one: Mapping[str, Any]) -> Attached:
        member = text(one.get("path"))
        return Attached(
            key=text(one.get("id")),
            filename=text(one.get("filename")),
            content_type=text(one.get("content_type")),
            member=member if member in self._archive.names() else "",
            created=moment(one.get("created_at")),
            purpose=text(one.get("purpose")) or "user_data",
        )

    def _memories(self) -> Iterator[Piece]:
        """Those that others took the place of come behind these."""
        waiting: dict[str, list[MemoryRecord]] = {}
        ready: deque[MemoryRecord] = deque()
        for one in self._lines("memories.jsonl"):
            record = None if isinstance(one, Broken) else self._memory(one)
            if record is None:
                yield Left(kind="memories", name="", reason="it is no memory")
            elif record.superseded_by is None:
                ready.append(record)
            else:
                waiting.setdefault(record.superseded_by, []).append(record)
        while ready:
            record = ready.popleft()
            yield Fact(text=record.text, created=record.created_at, record=record)
            ready.extend(waiting.pop(record.id, ()))
        for left in waiting.values():
            yield Left(kind="memories", name="", reason="what took its place is not in the export", count=len(left))

    def _memory(self, one: Mapping[str, Any]) -> MemoryRecord | None:
        kind, status, scope = one.get("kind"), one.get("status"), text(one.get("scope"))
        said, created = text(one.get("text")).strip(), moment(one.get("created_at"))
        fits = kind in _KINDS and status in _STATES and SCOPE.fullmatch(scope) and 0 < len(said) <= LONGEST
        confidence = one.get("confidence")
        if not fits or created is None or not text(one.get("id")):
            return None
        above = text(one.get("superseded_by"))
        if (status == "superseded") != bool(above):
            return None
        return MemoryRecord(
            id=self.mapped(text(one.get("id"))),
            owner=self._owner,
            kind=kind,  # type: ignore[arg-type]
            text=said,
            scope=self._said(scope),
            source=self.mapped(text(one.get("source"))),
            created_at=created,
            changed_at=moment(one.get("changed_at")) or created,
            happened_at=moment(one.get("happened_at")),
            confidence=float(confidence) if isinstance(confidence, (int, float)) else 1.0,
            status=status,  # type: ignore[arg-type]
            superseded_by=self.mapped(above) if above else None,
        )

    def _threads(self, responses: Iterator[Any], heads: dict[str, bytes]) -> Iterator[Piece]:
        """Responses that follow each other and are of one conversation, then conversations that have none."""
        of: str | None = ""
        turns: list[Arriving] = []
        broken: list[str] = []
        given: set[str] = set()
        for one in responses:
            fields = mapping(one)
            mine = text(fields.get("conversation_id")) or None
            if turns and (mine != of or len(turns) >= _AT_ONCE):
                yield self._thread(of, turns, broken, heads, more=mine == of)
                turns, broken = [], []
            of = mine
            record = None if isinstance(one, Broken) else self._arriving(fields, mine)
            if record is None:
                yield Left(kind="messages", name="", reason="it is no response of Portal")
            else:
                turns.append(record)
                given.add(mine or "")
        if turns:
            yield self._thread(of, turns, broken, heads, more=False)
        for key in heads:
            if key not in given:
                yield self._thread(key, [], [], heads, more=False)

    def _thread(
        self, of: str | None, turns: list[Arriving], broken: list[str], heads: dict[str, bytes], *, more: bool
    ) -> Piece:
        if of is None:
            return Threads(id=None, turns=turns)
        if of not in heads:
            return Left(kind="messages", name=of, reason="its conversation is not in the export", count=len(turns))
        fields = mapping(orjson.loads(heads[of]))
        named = {name: self.mapped(text(fields.get(name))) for name in ("head", "folder_id") if text(fields.get(name))}
        return Threads(id=self.mapped(of), fields={**fields, **named, "more": more}, turns=turns)

    def _arriving(self, one: Mapping[str, Any], conversation: str | None) -> Arriving | None:
        key, created = text(one.get("id")), moment(one.get("created_at"))
        inputs, outputs = listed(one.get("input")), listed(one.get("output"))
        status = one.get("status")
        if not key or created is None or status not in TERMINAL or not all(map(sound, [*inputs, *outputs])):
            return None
        feedback = one.get("feedback")
        record = ResponseRecord(
            id=self.mapped(key),
            owner=self._owner,
            model=text(one.get("model")),
            status=text(status),
            created_at=created,
            completed_at=moment(one.get("completed_at")),
            conversation_id=self.mapped(conversation) if conversation else None,
            previous_id=self.mapped(text(one.get("previous_response_id"))) or None,
            request=dict(mapping(one.get("request"))),
            usage=_maybe(one.get("usage")),
            error=_maybe(one.get("error")),
            incomplete_details=_maybe(one.get("incomplete_details")),
            decision=_maybe(one.get("decision")),
            feedback=feedback if feedback in (-1, 0, 1) else 0,
        )
        return Arriving(
            response=record,
            inputs=[self._said(item) for item in inputs],
            outputs=[self._said(item) for item in outputs],
            messages=(key,),
        )

    def mapped(self, key: str) -> str:
        """What an id of the export is here."""
        if self._same or not key:
            return key
        found = _TIMED.fullmatch(key)
        prefix, stamp = (found.group(1), int(found.group(2), 16) * 1000) if found else (key.partition("_")[0], 0)
        return derived_id(prefix, stamp, self._owner, SOURCE, key)

    def _said(self, value: Any) -> Any:
        """The same with the ids in it that are others here."""
        if self._same:
            return value
        if isinstance(value, str):
            return _ID.sub(lambda found: self._renamed(found.group()), value) if "_" in value else value
        if isinstance(value, list):
            return [self._said(each) for each in value]
        if isinstance(value, dict):
            return {name: self._said(each) for name, each in value.items()}
        return value

    def _renamed(self, key: str) -> str:
        return self.mapped(key) if key in self._known or key.startswith("mem_") else key


def _maybe(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def sound(item: Any) -> bool:
    """Whether an item is built as those that Portal makes."""
    one = mapping(item)
    kind = one.get("type")
    if not isinstance(kind, str) or not identity(one.get("id")):
        return False
    if kind == "message":
        said = one.get("content")
        role = one.get("role") in ("user", "assistant", "system", "developer")
        return role and (isinstance(said, str) or (isinstance(said, list) and all(map(_part, said))))
    if kind == "reasoning":
        parts = [*listed(one.get("content")), *listed(one.get("summary"))]
        return isinstance(one.get("summary"), list) and all(map(_part, parts))
    return _call(kind, one)


def _call(kind: str, one: Mapping[str, Any]) -> bool:
    if kind in ("function_call", "mcp_call"):
        named = isinstance(one.get("name"), str) and isinstance(one.get("arguments"), str)
        whole = all(isinstance(one.get(name, ""), (str, type(None))) for name in ("output", "error", "status"))
        return named and whole and (kind == "mcp_call" or bool(text(one.get("call_id"))))
    if kind == "function_call_output":
        output = one.get("output")
        parts = isinstance(output, list) and all(map(_part, output))
        return bool(text(one.get("call_id"))) and (isinstance(output, str) or parts)
    if kind == "compaction":
        return isinstance(one.get("summary", ""), str)
    return kind.startswith("portal:") or kind in _OTHERS


_OTHERS = ("mcp_approval_request", "mcp_approval_response", "file_search_call", "image_generation_call")


def _part(part: Any) -> bool:
    one = mapping(part)
    kind = one.get("type")
    if kind in ("input_image", "input_file", "input_audio"):
        return True
    if kind == "refusal":
        return isinstance(one.get("refusal"), str)
    noted = one.get("annotations", [])
    return isinstance(kind, str) and isinstance(one.get("text"), str) and isinstance(noted, list)
