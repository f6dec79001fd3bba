"""A SQLite VFS that remembers every write, so that power can be cut anywhere, and that fails on demand.

Files are real; what is written also goes into a log. `after_power_loss` makes the folder as a disk might have it
after losing power at some point of that log: what was synced is there, of the rest any sectors, in any order.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import apsw

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Operation:
    """What happened to a file; or a `mark` that the test set."""

    kind: Literal["write", "truncate", "sync", "delete", "mark"]
    file: str
    offset: int = 0
    data: bytes = b""


class FaultyVfs(apsw.VFS):
    """Over the system's own VFS; pass its name to SqliteDatabase. `unregister` it after use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log: list[Operation] = []
        self.fault: Callable[[Operation], Exception | None] = no_fault
        """Asked before every operation: an exception to fail with, such as apsw.FullError or apsw.IOError."""
        super().__init__(name, "")

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> "_File":
        """A file whose operations are seen."""
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Delete, for good at once."""
        self.perform(Operation("delete", Path(filename).name))
        super().xDelete(filename, syncdir)

    def perform(self, operation: Operation) -> None:
        """Log it, or fail as the fault says."""
        error = self.fault(operation)
        if error is not None:
            raise error
        self.log.append(operation)

    def mark(self, name: str) -> None:
        """Note a moment, such as that a batch was acknowledged."""
        self.log.append(Operation("mark", name))


class _File(apsw.VFSFile):
    def __init__(self, vfs: FaultyVfs, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        self._vfs = vfs
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._vfs.perform(Operation("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._vfs.perform(Operation("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._vfs.perform(Operation("sync", self._name))
        super().xSync(flags)


def no_fault(_: Operation) -> Exception | None:
    """Nothing fails."""
    return None


@dataclass(slots=True)
class _Image:
    """A file on the disk: what is surely there, and what was asked of it since."""

    durable: bytes | None
    pending: list[Operation] = field(default_factory=list)

    def settle(self) -> None:
        content = bytearray(self.durable or b"")
        for operation in self.pending:
            _apply(content, operation)
        self.durable, self.pending = bytes(content), []

    def lose_power(self, dice: random.Random) -> bytes | None:
        """One of the states it may be found in."""
        if self.durable is None and dice.random() < 0.5:
            return None
        content = bytearray(self.durable or b"")
        kept = dice.choice((0.0, 0.2, 0.5, 0.9, 1.0))
        torn = [part for operation in self.pending for part in _sectors(operation) if dice.random() < kept]
        if dice.random() < 0.3:
            dice.shuffle(torn)
        for operation in torn:
            _apply(content, operation)
        return bytes(content)


def after_power_loss(before: Path, log: Sequence[Operation], target: Path, seed: int) -> None:
    """Fill the empty folder `target` with what a disk that was like `before` holds when power goes after `log`."""
    dice = random.Random(seed)  # noqa: S311  no secret
    images = {file.name: _Image(file.read_bytes()) for file in before.iterdir()}
    for operation in log:
        if operation.kind == "delete":
            images.pop(operation.file, None)
        elif operation.kind != "mark":
            image = images.setdefault(operation.file, _Image(None))
            image.pending.append(operation)
            if operation.kind == "sync":
                image.settle()
    for name, image in images.items():
        content = image.lose_power(dice)
        if content is not None and not name.endswith("-shm"):
            (target / name).write_bytes(content)


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.kind == "truncate":
        del content[operation.offset :]
    elif operation.kind == "write":
        content.extend(bytes(max(0, operation.offset - len(content))))
        content[operation.offset : operation.offset + len(operation.data)] = operation.data


def _sectors(operation: Operation) -> list[Operation]:
    """The parts of a write that reach the disk each for itself."""
    if operation.kind != "write":
        return [operation]
    starts = range(0, len(operation.data), SECTOR)
    return [
        Operation("write", operation.file, operation.offset + start, operation.data[start : start + SECTOR])
        for start in starts
    ]
