"""Which engine answers for a model."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Generic, TypeVar

from portal.core.speech import SpeechModel
from portal.errors import ModelNotFound, NoModel

E = TypeVar("E")
ANY = frozenset(("", "auto"))


class Choice(Generic[E]):
    """The engines that could answer, each with its models, the first one first."""

    def __init__(self, offers: Sequence[tuple[E, SpeechModel]], *, usual: str, known: re.Pattern[str]) -> None:
        """`usual` is the model the settings name; `known` are names of others that mean the usual one."""
        self._offers = sorted(offers, key=lambda offer: offer[1].id != usual) if usual else offers
        self._known = known

    @property
    def models(self) -> Sequence[SpeechModel]:
        """Each once."""
        return list({offer[1].id: offer[1] for offer in reversed(self._offers)}.values())[::-1]

    def of(self, model: str, nothing: str) -> tuple[E, SpeechModel]:
        """Whoever has it. Raises ModelNotFound, or NoModel in the words of `nothing` where none is there at all."""
        for engine, info in self._offers:
            if info.id == model:
                return engine, info
        if model not in ANY and not self._known.fullmatch(model):
            raise ModelNotFound(model, get_close_matches(model, [info.id for _, info in self._offers], n=3, cutoff=0.4))
        if not self._offers:
            raise NoModel(nothing)
        return self._offers[0]
