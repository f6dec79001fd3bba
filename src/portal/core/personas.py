"""A persona: a voice or a trade that a workspace can take on, with a test of whether a model carries it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What can be checked of an answer; words in any case."""

    contains: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    max_words: int | None = None
    pattern: str = ""

    def failures(self, answer: str) -> list[str]:
        """What is wrong with it, for a person; empty for a good one."""
        said = answer.casefold()
        words = len(answer.split())
        missing = [f"{word!r} is missing" for word in self.contains if word.casefold() not in said]
        present = [f"{word!r} should not be there" for word in self.lacks if word.casefold() in said]
        found = [*missing, *present]
        if not words:
            return ["the answer is empty"]
        if self.any_of and not any(word.casefold() in said for word in self.any_of):
            found.append(f"none of {', '.join(map(repr, self.any_of))} is there")
        if self.max_words is not None and words > self.max_words:
            found.append(f"{words} words instead of at most {self.max_words}")
        if self.pattern and not re.search(self.pattern, answer):
            found.append(f"it does not match {self.pattern!r}")
        return found


@dataclass(frozen=True, kw_only=True)
class Persona:
    """What a persona is made of."""

    name: str
    title: str
    description: str
    prompt: str
    task: str = ""
    """What it is best for, a label of the classifier."""
    temperature: float | None = None
    """Used where neither workspace nor client says one."""
    test: str
    """What to ask it to see whether a model carries it."""
    expect: Expectation = Expectation()

    @cached_property
    def parameters(self) -> Mapping[str, object]:
        """Its sampling defaults."""
        return {} if self.temperature is None else {"temperature": self.temperature}
