"""The log in a file: turned over by size and age, older ones packed, only so many kept."""

import gzip
import logging
import os
import re
import shutil
import sys
import threading
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from time import time_ns

_DAY = 86_400
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_HEAD = 512


class LogFile(RotatingFileHandler):
    """Writes to `path`; `path.1.gz` is the newest of the older ones. Where this process's own output goes to that file,
    as that of a server in the background does, it is turned over with it."""

    def __init__(self, path: Path, *, max_size: int, keep: int, days: int) -> None:
        """Sizes in bytes; 0 days for any age. Raises OSError where it cannot be written."""
        super().__init__(path, backupCount=keep, encoding="utf-8")
        self._max_size, self._seconds = max_size, days * _DAY
        self._began = _begun(path)
        self._packing: threading.Thread | None = None
        self._outputs = [number for number in (1, 2) if _goes_to(number, path)]
        self.namer = lambda name: f"{name}.gz"
        self.rotator = self._pack
        if os.path.getsize(path) >= max_size:
            self.doRollover()

    @property
    def has_output(self) -> bool:
        """Whether the process's own output goes there too."""
        return 2 in self._outputs

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Once it is large or old enough."""
        if self._seconds and record.created - self._began >= self._seconds:
            return True
        return os.path.getsize(self.baseFilename) >= self._max_size

    def doRollover(self) -> None:
        """Begin a new file; the old one is packed beside."""
        if self._packing is not None:
            self._packing.join()
        super().doRollover()
        self._began = _now()
        with open(self.baseFilename, "ab") as new:
            for number in self._outputs:
                (sys.stdout if number == 1 else sys.stderr).flush()
                os.dup2(new.fileno(), number)

    def _pack(self, source: str, target: str) -> None:
        full = Path(f"{source}.full")
        Path(source).replace(full)
        self._packing = threading.Thread(target=_packed, args=(full, Path(target)), name="portal-log")
        self._packing.start()

    def close(self) -> None:
        """Wait until the last one is packed."""
        if self._packing is not None:
            self._packing.join()
        super().close()


def _packed(full: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        with full.open("rb") as old, gzip.open(unfinished, "wb", compresslevel=6) as new:
            shutil.copyfileobj(old, new)
        unfinished.replace(target)
        full.unlink()
    except OSError:  # a full disk, most likely: it stays as it is until the next one takes its place
        with suppress(OSError):
            unfinished.unlink()


def goes_to(path: Path) -> bool:
    """Whether this process's own output goes to that file."""
    return _goes_to(2, path)


def _goes_to(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except OSError:
        return False


def _now() -> float:
    return time_ns() / 1e9


def _begun(path: Path) -> float:
    """When the first of its lines was written, in Unix seconds; now for a new one."""
    with path.open("rb") as file:
        found = _MOMENT.search(file.read(_HEAD))
    return datetime.fromisoformat(found[0].decode("ascii")).timestamp() if found else _now()
