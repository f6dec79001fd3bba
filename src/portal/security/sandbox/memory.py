"""How much memory a process and all it started use, where no cgroup counts it."""

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_COUNTED = ("RssAnon:", "RssShmem:")


def used(pid: int, proc: Path = Path("/proc")) -> int:
    """Bytes of its own of every process below this one; what they share by writing is counted for each."""
    children = defaultdict(list)
    for entry in os.listdir(proc):
        if entry.isdigit():
            children[_parent(proc / entry)].append(int(entry))
    total, pending = 0, [pid]
    while pending:
        one = pending.pop()
        total += _own(proc / str(one))
        pending += children[one]
    return total


def _parent(process: Path) -> int:
    with suppress(OSError):
        return int((process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    return 0


def _own(process: Path) -> int:
    kilobytes = 0
    with suppress(OSError):
        for line in (process / "status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(_COUNTED):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024
