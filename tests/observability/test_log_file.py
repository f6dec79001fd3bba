"""The log file: turned over by size and age, packed, bounded, with the process's own output."""

import gzip
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.observability.log_file import LogFile

Made = Callable[..., LogFile]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    opened: list[LogFile] = []

    def make(**settings: int) -> LogFile:
        opened.append(LogFile(tmp_path / "portal.log", **{"max_size": 100, "keep": 2, "days": 0, **settings}))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def say(handler: LogFile, text: str, created: float | None = None) -> None:
    record = logging.LogRecord("portal", logging.INFO, "", 0, text, None, None)
    record.created = created or record.created
    handler.handle(record)


def packed(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")


def test_a_full_file_is_packed_and_only_so_many_are_kept(made: Made, tmp_path: Path) -> None:
    handler = made()
    for letter in "abcd":
        say(handler, letter * 120)
    handler.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["portal.log", "portal.log.1.gz", "portal.log.2.gz"]
    assert (tmp_path / "portal.log").read_text(encoding="utf-8") == "d" * 120 + "\n"
    assert packed(tmp_path / "portal.log.1.gz") == "c" * 120 + "\n"
    assert packed(tmp_path / "portal.log.2.gz") == "b" * 120 + "\n"


def test_an_old_file_is_turned_over(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "portal.log"
    path.write_text("2026-01-01T00:00:00Z info    portal: first\n", encoding="utf-8")
    first, day = 1_767_225_600.0, 86_400
    handler = made(max_size=10_000, days=2)

    say(handler, "within", first + day)
    assert not list(tmp_path.glob("*.gz"))
    say(handler, "after", first + 2 * day)
    handler.close()

    assert path.read_text(encoding="utf-8") == "after\n"
    assert packed(tmp_path / "portal.log.1.gz").endswith("first\nwithin\n")


def test_one_that_is_large_at_the_start_is_turned_over_at_once(made: Made, tmp_path: Path) -> None:
    (tmp_path / "portal.log").write_text("x" * 200, encoding="utf-8")
    made().close()
    assert packed(tmp_path / "portal.log.1.gz") == "x" * 200
    assert (tmp_path / "portal.log").read_text(encoding="utf-8") == ""


def test_what_cannot_be_packed_stays_until_the_next(made: Made, tmp_path: Path) -> None:
    (tmp_path / "portal.log.1.gz.unfinished").mkdir()
    handler = made()
    say(handler, "a" * 120)
    say(handler, "b")
    handler.close()

    assert (tmp_path / "portal.log.full").read_text(encoding="utf-8") == "a" * 120 + "\n"


@pytest.mark.skipif(os.name != "posix", reason="descriptors")
def test_the_output_of_the_process_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "portal.log"
    program = f"""
import logging, os, sys
from pathlib import Path
from portal.observability.log_file import goes_to
from portal.observability.logging import configure
from portal.settings import LogSettings
path = Path({str(path)!r})
assert goes_to(path)
configure(LogSettings(max_size=150), file=path)
log = logging.getLogger("portal.x")
os.write(2, b"a stray line before\\n")
log.info("one " * 40)
log.info("two")
os.write(2, b"a stray line after\\n")
print("printed")
"""
    with path.open("ab") as output:
        done = subprocess.run([sys.executable, "-c", program], stdout=output, stderr=output, check=False, timeout=60)

    written = path.read_text(encoding="utf-8")
    assert done.returncode == 0, written
    first, *rest = written.splitlines()
    assert (first.partition("portal.x: ")[2], rest) == ("two", ["a stray line after", "printed"])
    assert packed(tmp_path / "portal.log.1.gz").startswith("a stray line before\n")
