"""What this process takes of its machine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portal.core.items import JsonObject
from portal.observability.figures import Family, counted, gauge


class Process:
    """This one, and the disk that its data is on."""

    def __init__(self, *, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._process: Any = None

    def reading(self) -> JsonObject:
        """{memory, virtual, cpu, threads, files, most_files, started, disk_free, disk_size}: bytes, seconds and Unix
        seconds; None where this system does not tell."""
        import psutil

        if self._process is None:
            self._process = psutil.Process()
        process = self._process
        with process.oneshot():
            memory, cpu = process.memory_info(), process.cpu_times()
            threads, started = process.num_threads(), process.create_time()
        free, size = self._disk()
        return {
            "memory": memory.rss,
            "virtual": memory.vms,
            "cpu": cpu.user + cpu.system,
            "threads": threads,
            "files": process.num_fds() if hasattr(process, "num_fds") else None,
            "most_files": _most_files(),
            "started": started,
            "disk_free": free,
            "disk_size": size,
        }

    def _disk(self) -> tuple[int | None, int | None]:
        try:
            usage = shutil.disk_usage(self._data_dir)
        except OSError:
            return None, None
        return usage.free, usage.total

    def families(self) -> Iterator[Family]:
        """By the names that all programs have for these."""
        told = self.reading()
        yield counted("process_cpu_seconds", "Processor time, of the user and the system.", ((), told["cpu"]))
        for name, field, what in (
            ("process_resident_memory_bytes", "memory", "Memory in use."),
            ("process_virtual_memory_bytes", "virtual", "Memory that is addressed."),
            ("process_start_time_seconds", "started", "When this process began, in Unix seconds."),
            ("process_open_fds", "files", "Open files and connections."),
            ("process_max_fds", "most_files", "Open files and connections that the system allows."),
            ("process_threads", "threads", "Threads."),
            ("portal_disk_free_bytes", "disk_free", "Free space where the data folder is."),
            ("portal_disk_size_bytes", "disk_size", "Size of the disk where the data folder is."),
        ):
            if told[field] is not None:
                yield gauge(name, what, ((), told[field]))


def _most_files() -> int | None:
    if os.name != "posix":
        return None
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
