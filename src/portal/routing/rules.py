"""The user's own rules: words or a pattern in a request, and what is to answer it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Matches a request that has one of `words` (any case) or the regular expression `pattern`."""

    name: str
    priority: int = 0
    words: tuple[str, ...] = ()
    pattern: str = ""
    model: str = ""
    """What answers: a name or a pattern of names."""
    task: str = ""
    """Instead: the task that the request is."""

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word.casefold() for word in self.words)

    @cached_property
    def _compiled(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern else None

    def matches(self, text: str, found: frozenset[str]) -> bool:
        """`found` are the words of the text, casefolded."""
        return not self._words.isdisjoint(found) or (self._compiled is not None and bool(self._compiled.search(text)))


def first_match(rules: Sequence[Rule], text: str) -> Rule | None:
    """The first rule that matches; give them sorted, highest priority first."""
    if not rules:
        return None
    found = frozenset(_WORD.findall(text.casefold()))
    return next((rule for rule in rules if rule.matches(text, found)), None)
