"""The user's own rules: words or a pattern in a request, and what is to answer it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_WORD = re.compile(r"\w+")
_RUN_ON = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0010ffff]")
"""Letters of scripts that put nothing between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean."""


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
    def _phrases(self) -> re.Pattern[str] | None:
        """Those of the words that are not found by cutting a text into words: several, signs, scripts that run on."""
        found = [word for word in self._words if not _WORD.fullmatch(word) or _RUN_ON.search(word)]
        return re.compile("|".join(map(_phrase, filter(str.strip, found)))) if any(map(str.strip, found)) else None

    @cached_property
    def _compiled(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern else None

    def matches(self, text: str, folded: str, found: frozenset[str]) -> bool:
        """`folded` is the text casefolded, `found` are its words."""
        return (
            not self._words.isdisjoint(found)
            or (self._phrases is not None and bool(self._phrases.search(folded)))
            or (self._compiled is not None and bool(self._compiled.search(text)))
        )


def _phrase(word: str) -> str:
    """A regular expression for it: whole, where its script says where words end."""
    between = r"\s+".join(map(re.escape, word.split()))
    begins, ends = (_WORD.match(one) and not _RUN_ON.match(one) for one in (word.strip()[0], word.strip()[-1]))
    return (r"(?<!\w)" if begins else "") + between + (r"(?!\w)" if ends else "")


def first_match(rules: Sequence[Rule], text: str) -> Rule | None:
    """The first rule that matches; give them sorted, highest priority first."""
    if not rules:
        return None
    folded = text.casefold()
    found = frozenset(_WORD.findall(folded))
    return next((rule for rule in rules if rule.matches(text, folded, found)), None)
