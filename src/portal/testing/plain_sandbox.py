"""A Sandbox that is none: it really runs the program, with all rights of the process. For tests of tools only."""

import logging
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.tools.folders import Place
from portal.tools.program import run

logger = logging.getLogger(__name__)


class PlainSandbox:
    """Runs jobs in their folder WITHOUT ANY ISOLATION; strict about what a job may say, and keeps the jobs."""

    def __init__(self, *, unsafe: bool, refusal: str = "") -> None:
        """`unsafe=True` says that you know; `refusal` makes it a machine where nothing can run."""
        if not unsafe:
            raise ValueError("PlainSandbox isolates nothing: pass unsafe=True, in tests only")
        self._refusal = refusal
        self.jobs: list[SandboxJob] = []

    def refusal(self) -> str:
        """See Sandbox."""
        return self._refusal

    async def run(self, job: SandboxJob) -> SandboxResult:
        """See Sandbox."""
        if self._refusal:
            raise ToolError(self._refusal)
        _check(job)
        self.jobs.append(job)
        logger.warning("UNSAFE: %s runs without a sandbox", job.argv[0])
        job.folder.mkdir(parents=True, exist_ok=True)
        environment = {"PATH": program_environment()["PATH"], "HOME": str(job.folder), **job.environment}
        before, began = _files(job.folder), time.monotonic()
        ended = await run(
            job.argv,
            folder=job.folder,
            environment=environment,
            stdin=job.stdin,
            seconds=job.seconds,
            output=job.output,
        )
        return SandboxResult(
            code=ended.code,
            stdout=ended.stdout,
            stderr=ended.stderr,
            cut=ended.cut,
            killed="time" if ended.code is None else "",
            seconds=time.monotonic() - began,
            made=sorted(name for name, state in _files(job.folder).items() if before.get(name) != state),
        )

    async def read(self, place: Path, name: str, largest: int) -> bytes:
        """See Sandbox."""
        try:
            data = Place(place, Path(name), own=True).read(largest + 1)
        except OSError as error:
            raise ToolError(f"{name} cannot be read: {error.strerror}") from error
        if len(data) > largest:
            raise ToolError(f"{name} is larger than {largest} bytes")
        return data


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """The plain files in it, by path, with what tells whether they changed."""
    found = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            seen = path.lstat()
            if stat.S_ISREG(seen.st_mode):
                found[path.relative_to(folder).as_posix()] = (seen.st_size, seen.st_mtime_ns)
    return found


def _check(job: SandboxJob) -> None:
    """What every sandbox may rely on. Raises ValueError."""
    paths: Sequence[Path] = (job.folder, *job.readable)
    if not job.argv or not all(isinstance(word, str) and "\0" not in word for word in job.argv):
        raise ValueError(f"not a command line: {job.argv!r}")
    if not all(path.is_absolute() for path in paths) or not all(path.exists() for path in job.readable):
        raise ValueError(f"folders must be absolute, and those to read must be there: {paths}")
    if min(job.seconds, job.memory, job.disk, job.output) <= 0:
        raise ValueError("a bound must be more than nothing")
