"""Programs in a container of Docker or Podman, where bubblewrap is not to be had."""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from portal.core.ids import new_id
from portal.core.sandbox import SandboxJob, SandboxResult
from portal.errors import ToolError
from portal.security.sandbox import folder, process
from portal.security.sandbox.job import as_result, begin, check
from portal.security.sandbox.view import WORK

ENGINES = ("docker", "podman")
"""Their commands, in the order in which they are tried."""
_PROCESSES, _FILES = 256, 1024
_ASK_SECONDS = 15.0
_PROBE_SECONDS = 30.0
_NO_START = (125, 126, 127)
_OUT_OF_MEMORY = 128 + 9


class Container:
    """Implements Sandbox. `engine` is the command of one, `image` what it has; it must be there already."""

    def __init__(self, *, engine: str, image: str) -> None:
        """See `works` for whether it can."""
        self._engine = engine
        self._image = image

    def refusal(self) -> str:
        """See Sandbox."""
        return ""

    async def works(self) -> str:
        """Why it does not work here, or nothing: a program is really run, and must be able to write its folder."""
        name = Path(self._engine).name
        if (await self._ask("version")).code != 0:
            return f"{name} does not run."
        if (await self._ask("image", "inspect", self._image)).code != 0:
            return f"{name} runs, but has no image to run programs in: {name} pull {self._image}"
        with tempfile.TemporaryDirectory(prefix="portal-sandbox-") as place:
            job = SandboxJob(argv=["touch", "probe"], folder=Path(place, "work"), seconds=_PROBE_SECONDS)
            try:
                ended = await self.run(job)
            except ToolError as error:
                return f"{name} did not work: {error.message}"
        return "" if ended.made else f"{name} did not work: {ended.stderr.decode(errors='replace').strip()}"

    async def run(self, job: SandboxJob) -> SandboxResult:
        """See Sandbox."""
        check(job)
        before, user = await asyncio.to_thread(begin, job, root=os.getuid() == 0)
        name = new_id("portal")
        command = process.Command(
            argv=[self._engine, *self._options(name, "{}:{}".format(*user), job), self._image, *job.argv],
            environment=None,
            stdin=job.stdin,
            seconds=job.seconds,
            output=job.output,
        )

        def watch(_pid: int) -> str:
            return "disk" if folder.overfull(job.folder, before, job.disk) else ""

        try:
            ended = await process.run(command, watch, lambda: self._ask("rm", "--force", name))
        finally:
            after = await asyncio.to_thread(folder.settled, job.folder)
        return _result(ended, folder.made(before, after))

    async def read(self, place: Path, name: str, largest: int) -> bytes:
        """See Sandbox."""
        return await asyncio.to_thread(folder.read, place, name, largest)

    def _options(self, name: str, user: str, job: SandboxJob) -> Iterator[str]:
        yield from ("run", "--rm", "--interactive", "--name", name, "--pull", "never", "--init")
        yield from ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
        yield from ("--network", "bridge" if job.network else "none", "--user", user)
        yield from ("--memory", str(job.memory), "--memory-swap", str(job.memory), "--pids-limit", str(_PROCESSES))
        yield from ("--ulimit", f"fsize={job.disk}", "--ulimit", f"nofile={_FILES}", "--ulimit", "core=0")
        yield from ("--tmpfs", f"/tmp:size={job.memory // 4},nosuid,nodev", "--workdir", WORK)  # noqa: S108
        yield from ("--mount", f"type=bind,source={job.folder},target={WORK}")
        if Path(self._engine).name == "podman" and os.getuid():
            yield from ("--userns", "keep-id")
        for place in job.readable:
            yield from ("--mount", f"type=bind,source={place},target={place},readonly")
        for key, value in {"HOME": "/tmp", "LANG": "C.UTF-8", **job.environment}.items():  # noqa: S108
            yield from ("--env", f"{key}={value}")

    async def _ask(self, *words: str) -> process.Ended:
        command = process.Command(
            argv=[self._engine, *words], environment=None, stdin=b"", seconds=_ASK_SECONDS, output=10_000
        )
        return await process.run(command, lambda _pid: "")


def _result(ended: process.Ended, files: Sequence[str]) -> SandboxResult:
    said = ended.stderr.decode(errors="replace")
    if ended.code in _NO_START and ("Error response" in said or "Error:" in said):
        raise ToolError(f"The program cannot be run in a container: {said.strip()}")
    return as_result(ended, killed="memory" if ended.code == _OUT_OF_MEMORY else "", files=files)
