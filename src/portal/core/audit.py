"""The audit of an installation: a chain, in which each line carries the hash of the one before it, so that none is
changed, removed or put in between unseen."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from portal.core.approvals import AuditRecord
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.errors import BadRequest

ORIGIN = "0" * 64
"""What the first line carries."""
FORGOTTEN = "audit.forgotten"
"""The action of the line that vouches for a beginning: its detail says up to where the lines before went."""
_PLACE = re.compile(r"(\d{1,18}):([0-9a-f]{64})(?::(\d{1,18}))?")
_FIELDS = ("id", "owner", "at", "action", "subject", "detail")

FlawKind = Literal["changed", "removed", "inserted", "rewritten"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the chain: how many lines are up to it, and the hash of the last of them."""

    seq: int = 0
    hash: str = ORIGIN
    at: int = field(default=0, compare=False)
    """When that line was written, in microseconds UTC; 0 where it is not said."""

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}" + (f":{self.at}" if self.at else "")

    @classmethod
    def read(cls, text: str) -> "Place":
        """As it writes itself. Raises BadRequest."""
        found = _PLACE.fullmatch(text.strip())
        if found is None:
            raise BadRequest(f"{text!r} is no place in the audit, such as `portal audit verify` tells.", param="anchor")
        return cls(int(found[1]), found[2], int(found[3] or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedLine:
    """A line as it is stored: `detail` is the very text that was hashed."""

    seq: int
    prev: str
    hash: str
    id: str
    owner: str
    at: int
    action: str
    subject: str
    detail: str

    @property
    def true_hash(self) -> str:
        """What its hash must be."""
        return chained(Place(self.seq - 1, self.prev), {name: getattr(self, name) for name in _FIELDS}).hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What is wrong with the chain, and where."""

    kind: FlawKind
    seq: int | None
    """Of the first line it is about; None where the line has no place."""
    until: int | None = None
    """Of the last one, where several are gone."""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How the chain was found."""

    head: Place
    flaws: Sequence[Flaw]
    start: Place = Place()
    """Where it begins: a line says that what was before was too old."""
    unasked: bool = False
    """That is so although by the settings nothing ever grows too old."""


def line(owner: str, action: str, subject: str, detail: Mapping[str, object]) -> AuditRecord:
    """A line of this moment. `owner` is who did it, empty where nobody knows."""
    return AuditRecord(id=new_id("audit"), owner=owner, at=micros(), action=action, subject=subject, detail=detail)


def chained(before: Place, stored: Mapping[str, object]) -> Place:
    """Where the chain is after a line: SHA-256 over canonical JSON (sorted names, no spaces, UTF-8) of all of it."""
    content = {"seq": before.seq + 1, "prev": before.hash, **{name: stored[name] for name in _FIELDS}}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Place(before.seq + 1, hashlib.sha256(text.encode("utf-8")).hexdigest())


def until_of(detail: str) -> str:
    """Up to which place a line with this detail says that those before went; empty where it says nothing such."""
    try:
        told = json.loads(detail)
    except ValueError:
        return ""
    return str(told.get("until", "")) if isinstance(told, dict) else ""


class Walk:
    """Goes along the chain line by line, and says what is wrong."""

    def __init__(self, *, start: Place | None = None, anchor: Place | None = None, since: int = 0) -> None:
        """It begins after `start`; `anchor` is a place that was written down elsewhere before. Lines written at `since`
        or later, in microseconds UTC, are not too old. Raises BadRequest for an anchor before the start that cannot
        tell whether what is gone was."""
        self._at = self._start = start or Place()
        self._last_id, self._anchor, self._vouched, self._since = "", anchor, str(Place()), since
        if anchor is not None and anchor.seq < self._start.seq and anchor.at < since:
            raise BadRequest(
                f"Lines up to {self._start.seq} are gone, and a line says that they were too old: an anchor at "
                f"{anchor.seq} cannot tell whether that is so. Use a later one.",
                param="anchor",
            )

    @property
    def place(self) -> Place:
        """How far it has come."""
        return self._at

    def over(self, lines: Iterable[ChainedLine]) -> Iterator[Flaw]:
        """The next lines, in their order."""
        for one in lines:
            if one.seq > self._at.seq + 1:
                yield Flaw(kind="removed", seq=self._at.seq + 1, until=one.seq - 1)
            elif one.prev != self._at.hash and one.hash == one.true_hash:
                yield Flaw(kind="changed", seq=self._at.seq or one.seq, id=self._last_id or one.id)
            if one.hash != one.true_hash:
                yield Flaw(kind="changed", seq=one.seq, id=one.id)
            if self._anchor is not None and self._anchor.seq == one.seq and self._anchor.hash != one.hash:
                yield Flaw(kind="rewritten", seq=1, until=one.seq)
            if one.action == FORGOTTEN:
                self._vouched = until_of(one.detail)
            self._at, self._last_id = Place(one.seq, one.hash, one.at), one.id

    def end(self, head: Place) -> Iterator[Flaw]:
        """After the last line."""
        if str(self._start) != self._vouched:
            yield Flaw(kind="removed", seq=1, until=self._start.seq)
        if self._anchor is not None and self._anchor.seq <= self._start.seq > 0 and self._anchor.at >= self._since:
            yield Flaw(kind="removed", seq=max(self._anchor.seq, 1), until=self._start.seq)
        if self._anchor is not None and self._anchor.seq == self._start.seq and self._anchor != self._start:
            yield Flaw(kind="rewritten", seq=1, until=self._start.seq)
        if head.seq > self._at.seq:
            yield Flaw(kind="removed", seq=self._at.seq + 1, until=head.seq)
        elif head != self._at:
            yield Flaw(kind="changed", seq=self._at.seq, id=self._last_id)
        if self._anchor is not None and self._anchor.seq > head.seq:
            yield Flaw(kind="removed", seq=head.seq + 1, until=self._anchor.seq)
