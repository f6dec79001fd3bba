"""What a check of the installation found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `bad` makes the exit code 1."""

    state: Literal["good", "note", "bad"]
    text: str
