"""The database port: reads, and batches of writes that happen as a whole or not at all.

SQL is written in the subset SQLite and PostgreSQL share, with `:name` arguments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from portal.errors import Conflict, PortalError

Row: TypeAlias = dict[str, Any]
"""A row by column name."""

REPLACEMENT = "�"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a batch. With `expect`, that many rows must be returned (or changed, where it returns none)."""

    sql: str
    args: Mapping[str, object] = field(default_factory=dict)
    expect: int | None = None
    otherwise: PortalError | None = None
    """Raised, in place of Conflict, when `expect` is not met or a constraint is violated."""

    def check(self, count: int) -> None:
        """Raise unless this many rows are what was expected."""
        if self.expect is not None and count != self.expect:
            raise self.otherwise or Conflict(f"The object changed meanwhile: {count} rows instead of {self.expect}.")

    def violated(self) -> PortalError:
        """What a violated constraint of this statement means."""
        return self.otherwise or Conflict("An object with this id or name exists already, or is in use.")


class Readable(Protocol):
    """A database that is only read. Raises StorageError when the database itself fails."""

    dialect: Literal["sqlite", "postgres"]

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        """The rows of one query."""


class Database(Readable, Protocol):
    """SQLite or PostgreSQL. All methods raise StorageError when the database itself fails."""

    async def own(self) -> None:
        """For a server, before anything else: own the database until it is closed. Others may still open it beside.

        Raises:
            DataFolderBusy: another server owns it; the message names that one.
        """

    async def snapshot(self, queries: Sequence[Statement]) -> list[list[Row]]:
        """The rows of several queries that see the same moment. Raises what a query's `expect` says."""

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run all or nothing; the rows each returned. Awaited means committed; a caller that is cancelled
        stops waiting, the batch is carried out.

        Raises:
            Conflict: an `expect` was not met or a constraint was violated; nothing was stored.
        """

    async def scrub(self) -> bool:
        """After deletions: leave nothing of them in the files, in steps beside which others write; whether that could
        be done. PostgreSQL sees to it itself, in its own time."""


def storable(args: Mapping[str, object]) -> Mapping[str, object]:
    """The arguments, with what no database stores as text (NUL, lone surrogates) replaced."""
    odd = {name: _clean(value) for name, value in args.items() if isinstance(value, str) and not _plain(value)}
    return {**args, **odd} if odd else args


def _plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _clean(text: str) -> str:
    return text.replace("\0", REPLACEMENT).encode("utf-8", "replace").decode("utf-8")
