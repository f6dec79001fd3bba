"""Bounds on the memory and the number of all processes of a run together, where this process may make a cgroup."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from portal.core.ids import new_id

_PROCESSES = 256
_CONTROLLERS = ("memory", "pids")
_REMOVAL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One made for one run: a folder of the unified hierarchy, or one of each controller."""

    folders: tuple[Path, ...]

    def joins(self) -> list[str]:
        """Files into which a process writes 0 to come in."""
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def starved(self) -> bool:
        """Whether the kernel killed a process in it for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (self.folders[0] / name).read_text(encoding="ascii").splitlines():
                    if line.startswith("oom_kill ") and line.split()[1] != "0":
                        return True
        return False

    def kill(self) -> None:
        """End every process in it."""
        for folder in self.folders:
            if (folder / "cgroup.kill").exists():
                (folder / "cgroup.kill").write_text("1", encoding="ascii")
            else:
                _kill_each(folder)

    def remove(self) -> None:
        """Kill what is left and give it back; it blocks for the moment that the kernel needs after the last process."""
        deadline = time.monotonic() + _REMOVAL_SECONDS
        left = list(self.folders)
        while left:
            self.kill()
            left = [folder for folder in left if not _removed(folder)]
            if time.monotonic() > deadline:
                break
            if left:
                time.sleep(0.005)


class Cgroups:
    """Makes them below the cgroup that this process is in, or nothing where that is not allowed."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        """`proc` tells where they are."""
        self._proc = proc

    def make(self, memory: int) -> Cgroup | None:
        """One of this size, to be removed; None where none can be made."""
        return self._unified(memory) or self._separate(memory)

    def _unified(self, memory: int) -> Cgroup | None:
        """Version 2. A cgroup with processes of its own can have no bounded children, so its parents are tried too."""
        own = self._own().get("")
        top = self._mounts().get("")
        if own is None or top is None:
            return None
        place = top / own.lstrip("/")
        while place.is_relative_to(top):
            folder = place / new_id("portal")
            if _made(folder, {"memory.max": memory, "pids.max": _PROCESSES}, enable=True):
                _write(folder / "memory.swap.max", "0")
                return Cgroup((folder,))
            place = place.parent
        return None

    def _separate(self, memory: int) -> Cgroup | None:
        """Version 1: memory and pids are hierarchies of their own."""
        own, tops = self._own(), self._mounts()
        if not all(name in own and name in tops for name in _CONTROLLERS):
            return None
        name = new_id("portal")
        folders = [tops[each] / own[each].lstrip("/") / name for each in _CONTROLLERS]
        bounds = ({"memory.limit_in_bytes": memory}, {"pids.max": _PROCESSES})
        made: list[Path] = []
        for folder, values in zip(folders, bounds, strict=True):
            if not _made(folder, values):
                Cgroup(tuple(made)).remove()
                return None
            made.append(folder)
        _write(folders[0] / "memory.memsw.limit_in_bytes", str(memory))
        return Cgroup(tuple(made))

    def _own(self) -> Mapping[str, str]:
        """By controller, where this process is; version 2 is the one without a name."""
        return {
            controller: path
            for line in _lines(self._proc / "cgroup")
            for _, controllers, path in [line.split(":", 2)]
            for controller in controllers.split(",")
        }

    def _mounts(self) -> Mapping[str, Path]:
        """By controller, where its hierarchy is."""
        found: dict[str, Path] = {}
        for line in _lines(self._proc / "mountinfo"):
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            if kind == "cgroup2":
                found[""] = Path(before.split()[4])
            elif kind == "cgroup":
                found |= dict.fromkeys(options.split(","), Path(before.split()[4]))
        return found


def _made(folder: Path, values: Mapping[str, int], *, enable: bool = False) -> bool:
    """Make the folder with these bounds, or leave nothing behind."""
    try:
        folder.mkdir()
    except OSError:
        return False
    if enable and not all((folder / name).exists() for name in values):
        _write(folder.parent / "cgroup.subtree_control", "+memory +pids")
    if all((folder / name).exists() and _write(folder / name, str(value)) for name, value in values.items()):
        return True
    _removed(folder)
    return False


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text, encoding="ascii")
    except OSError:
        return False
    return True


def _kill_each(folder: Path) -> None:

    for pid in _lines(folder / "cgroup.procs"):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
