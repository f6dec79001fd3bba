"""Programs in namespaces of their own, by bubblewrap: own users, files, processes and network, and few system calls."""

import asyncio
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.errors import ToolError
from portal.security.sandbox import folder, memory, process, seccomp, syscalls
from portal.security.sandbox.cgroup import Cgroup, Cgroups
from portal.security.sandbox.job import as_result, begin, check
from portal.security.sandbox.view import SEARCHED, WORK, View

PROGRAMS = {"bwrap": "bubblewrap", "prlimit": "util-linux", "setpriv": "util-linux", "sh": "dash"}
"""What it needs, and the package that brings it."""
SYSTEM = ":".join(SEARCHED)
"""The PATH of all of them."""
_PROCESSES, _FILES = 256, 1024
_PROBE_SECONDS = 15
_JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
"""Come into cgroups and go on as another program: whatever it starts is in them from its beginning."""


class Bubblewrap:
    """Implements Sandbox, on Linux. `root` is whether this process is root, which then runs jobs as somebody else."""

    def __init__(self, *, view: View, cgroups: Cgroups, root: bool, system: str = SYSTEM) -> None:
        """See `works` for whether it can."""
        self._view = view
        self._cgroups: Cgroups | None = cgroups
        self._root = root
        self._system = system

    def refusal(self) -> str:
        """See Sandbox."""
        return ""

    async def works(self) -> str:
        """Why it does not work here, or nothing: a program is really run, and says what holds it."""
        if platform.machine() not in syscalls.MACHINES:
            return f"There is no filter of system calls for the processor {platform.machine()}."
        lacking = [package for program, package in PROGRAMS.items() if shutil.which(program, path=self._system) is None]
        if lacking:
            return f"Not installed: {', '.join(sorted(set(lacking)))}."
        if reason := await self._probe():
            self._cgroups = None  # perhaps one can be made, but not be entered
            reason = await self._probe()
        return reason

    async def _probe(self) -> str:
        """Why a small program did not run, or was not held."""
        with tempfile.TemporaryDirectory(prefix="portal-sandbox-") as place:
            job = SandboxJob(
                argv=["cat", "/proc/self/status"], folder=Path(place, "work"), seconds=_PROBE_SECONDS, memory=2**28
            )
            try:
                ended = await self.run(job)
            except ToolError as error:
                return error.message
        said = dict(line.partition(":")[::2] for line in ended.stdout.decode().splitlines())
        if ended.code != 0 or said.get("Seccomp", "").strip() != "2" or said.get("NoNewPrivs", "").strip() != "1":
            return f"bubblewrap did not work: {ended.stderr.decode(errors='replace').strip() or ended.killed}"
        return ""

    async def run(self, job: SandboxJob) -> SandboxResult:
        """See Sandbox."""
        check(job)
        if "/" not in job.argv[0] and shutil.which(job.argv[0], path=self._view.path()) is None:
            raise ToolError(f"There is no program {job.argv[0]!r} in the sandbox.")
        before, user = await asyncio.to_thread(begin, job, root=self._root)
        cgroup = self._cgroups.make(job.memory) if self._cgroups else None
        try:
            ended = await self._run(job, before, user, cgroup)
            starved = cgroup is not None and cgroup.starved()
        finally:
            if cgroup is not None:
                await asyncio.to_thread(cgroup.remove)
            after = await asyncio.to_thread(folder.settled, job.folder)
        return as_result(ended, killed="memory" if starved else "", files=folder.made(before, after))

    async def read(self, place: Path, name: str, largest: int) -> bytes:
        """See Sandbox."""
        return await asyncio.to_thread(folder.read, place, name, largest)

    async def _run(
        self, job: SandboxJob, before: folder.Contents, user: tuple[int, int], cgroup: Cgroup | None
    ) -> process.Ended:
        def watch(pid: int) -> str:
            if folder.overfull(job.folder, before, job.disk):
                return "disk"
            starved = cgroup.starved() if cgroup else memory.used(pid) > job.memory
            return "memory" if starved else ""

        async def stop() -> None:
            if cgroup is not None:
                await asyncio.to_thread(cgroup.kill)

        with ExitStack() as files:
            shown = [files.enter_context(_held(data)) for data in self._data(job, *user)]
            argv = [
                *("sh", "-c", _JOIN, "sh", *(cgroup.joins() if cgroup else ()), "--"),
                *self._bwrap(job, shown),
                *_limits(job, counted=cgroup is not None),
                *(_become(*user) if self._root else ()),
                *(
                    "env",
                    "-i",
                    f"--chdir={WORK}",
                    *(f"{name}={value}" for name, value in self._view.environment(job).items()),
                ),
                *job.argv,
            ]
            command = process.Command(
                argv=argv,
                environment={"PATH": self._system},
                stdin=job.stdin,
                descriptors=shown,
                seconds=job.seconds,
                output=job.output,
            )
            return await process.run(command, watch, stop)

    def _data(self, job: SandboxJob, user: int, group: int) -> Sequence[bytes]:
        """The filter, and who the program's user is."""
        return (
            seccomp.policy(platform.machine(), network=job.network),
            f"sandbox:x:{user}:{group}::/tmp:/bin/sh\n".encode(),
            f"sandbox:x:{group}:\n".encode(),
        )

    def _bwrap(self, job: SandboxJob, descriptors: Sequence[int]) -> Iterator[str]:
        """bubblewrap with its options; it itself has an environment that anyone may read."""
        rules, users, groups = map(str, descriptors)
        yield from ("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
        yield from ("--unshare-cgroup-try", "--hostname", "sandbox", "--seccomp", rules)
        yield from () if job.network else ("--unshare-net",)
        yield from ("--cap-drop", "ALL")
        if self._root:
            yield from (word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}"))
        else:
            yield "--unshare-user"
        yield from self._view.mounts(job)
        for descriptor, place in ((users, "/etc/passwd"), (groups, "/etc/group")):
            yield from ("--perms", "0644", "--ro-bind-data", descriptor, place)
        yield from ("--remount-ro", "/", "--chdir", "/", "--")


def _limits(job: SandboxJob, *, counted: bool) -> Iterator[str]:
    """Bounds of each process; their number only where no cgroup counts them, for it would count a whole user's."""
    yield from ("prlimit", "--core=0", f"--fsize={job.disk}", f"--nofile={_FILES}", f"--data={job.memory}")
    yield from ("--msgqueue=0", "--memlock=65536", *(() if counted else (f"--nproc={_PROCESSES}",)), "--")


def _become(user: int, group: int) -> Iterator[str]:
    """Lose every right of root."""
    yield from ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
    yield from ("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--")


@contextmanager
def _held(data: bytes) -> Iterator[int]:
    """The descriptor of a file in memory that a child reads from its beginning."""
    number = os.memfd_create("portal")
    try:
        os.write(number, data)
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)
