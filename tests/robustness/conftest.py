"""What both suites look at: whatever a server logged that nobody had foreseen. It runs on uvloop, as Portal does."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


class Faults(logging.Handler):
    """Keeps errors, and whatever was logged with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []
        self._lines = logging.Formatter("%(name)s: %(message)s")

    def note(self, told: str, error: BaseException | None = None) -> None:
        self.seen.append("\n".join([told, *(traceback.format_exception(error)[-4:] if error else ())]))

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.seen.append(self._lines.format(record)[-1500:])


@pytest.fixture
def faults() -> Iterator[Faults]:
    handler = Faults()
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
