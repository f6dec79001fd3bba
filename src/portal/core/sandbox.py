"""Running code nobody vouches for: what is to run, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxJob:
    """One program to run, with nothing of the machine but what is named here."""

    argv: Sequence[str]
    """The program is looked for inside the sandbox: python3, node, bash, git, ..."""
    folder: Path
    """The only folder it may write; it is the working folder, seen as `/work`. Made if absent."""
    readable: Sequence[Path] = ()
    """Folders and files it may read, seen at their own paths."""
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60
    """Wall time; then everything it started is killed."""
    memory: int = 1024 * 2**20
    """Bytes, of all its processes together where the system can count that."""
    disk: int = 512 * 2**20
    """Bytes its folder may hold."""
    output: int = 2**20
    """Bytes of standard output kept, and as many of standard error; what is more is dropped."""
    network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """How it ended."""

    code: int | None
    """Exit code; None where it was killed."""
    stdout: bytes
    stderr: bytes
    cut: bool = False
    """Whether output was dropped."""
    killed: str = ""
    """Why it was killed, in words: time, memory, disk, ..."""
    seconds: float = 0.0
    made: Sequence[str] = ()
    """Files that are new or changed in its folder, by path; read them through the sandbox, never by opening them."""
