"""What a call of a speech model came to, as its record and its headers tell."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.ports import UsageLog
from portal.core.records import UsageRecord
from portal.core.speech import SpeechModel
from portal.core.terms import calling, counted
from portal.interfaces.wire import header_value


class Call:
    """One call. What happens inside `of` leaves a record."""

    def __init__(self, log: UsageLog, owner: str, door: str, *, now: Callable[[], float] = perf_counter) -> None:
        self._log = log
        self._now = now
        self._owner = owner
        self._door = door
        self._status = "failed"
        self._model = SpeechModel("", "", "speech")
        self._first: float | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Which model it is."""
        return {"x-portal-model": header_value(self._model.id)}

    def answering(self) -> None:
        """Some of the answer is there; the first time counts."""
        if self._first is None:
            self._first = self._now()

    def completed(self) -> None:
        """The answer is whole."""
        self._status = "completed"

    @contextmanager
    def of(self, model: str, models: Sequence[SpeechModel]) -> Iterator[None]:
        """Around the work for a model; the first of `models` where none is meant by this name.

        Raises:
            Forbidden, RateLimited: the caller's terms do not let it.
        """
        named = (one for one in models if one.id == model)
        self._model = next(named, models[0] if models else SpeechModel(model, "", "speech"))
        calling(self._owner, self._model.id)
        began, created_at = self._now(), micros()
        self._log.begun()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self._status = "cancelled"
            raise
        finally:
            self._log.record(
                UsageRecord(
                    id=new_id("call"),
                    owner=self._owner,
                    door=self._door,
                    model=self._model.id,
                    backend=self._model.engine,
                    created_at=created_at,
                    input_tokens=0,
                    output_tokens=0,
                    estimated=True,
                    milliseconds=round((self._now() - began) * 1000),
                    status=self._status,
                    first_milliseconds=round((self._first - began) * 1000) if self._first else None,
                    credential=counted(),
                )
            )
