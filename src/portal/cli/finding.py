"""What a check of the installation found."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `bad` makes the exit code 1. `mend` is the command that mends it, or what to do."""

    state: State
    text: str
    mend: str = ""
    check: str = ""
    """A short name of it, for machines."""
