"""What a request is about and how hard it is: what a classifier says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, get_args

from portal.settings.workspaces import Task

TASKS: tuple[str, ...] = get_args(Task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Confidence and difficulty from 0 to 1."""

    task: str
    confidence: float
    difficulty: float
    scores: Mapping[str, float] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    by: str = ""
    """What decided the task where its words did not: `by its meaning`, `as NAME says`."""


class Judge(Protocol):
    """A classifier of requests."""

    def judge(
        self, text: str, history: tuple[str, ...] = (), *, has_image: bool = False, has_audio: bool = False
    ) -> Judgement:
        """In well under a millisecond; never raises."""
