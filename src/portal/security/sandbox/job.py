"""A job before it begins and after it ended, whatever ran it."""

import os
import re
from collections.abc import Sequence

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.errors import ToolError
from portal.security.sandbox import folder, process

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOO_LARGE = 128 + 25
"""A shell's way to say SIGXFSZ: a file outgrew the bound."""


def check(job: SandboxJob) -> None:
    """Raises ToolError for what is no program with its arguments and environment."""
    words = [*job.argv, *job.environment.values()]
    if not job.argv or "\0" in "".join(words) or "=" in job.argv[0] or job.argv[0][:1] in ("", "-"):
        raise ToolError("That is no program with its arguments.")
    wrong = [name for name in job.environment if not _NAME.fullmatch(name)]
    if wrong:
        raise ToolError(f"{wrong[0]!r} is no name of an environment variable.")
    if not all(place.is_absolute() and "," not in str(place) for place in (job.folder, *job.readable)):
        raise ToolError("A folder for the sandbox must be a whole path, without commas.")


def begin(job: SandboxJob, *, root: bool) -> tuple[folder.Contents, tuple[int, int]]:
    """What its folder, made if absent, holds before, and the user and group to run as: as root never itself.

    Raises:
        ToolError: it cannot be worked in.
    """
    folder.prepare(job.folder)
    user = folder.give(job.folder) if root else (os.getuid(), os.getgid())
    try:
        before = folder.look(job.folder)
    except OSError as error:
        raise ToolError(f"The folder {job.folder} cannot be read: {error.strerror}.") from error
    if before.depth >= folder.DEPTH:
        raise ToolError(f"The folder {job.folder} is deeper than {folder.DEPTH} levels.")
    if before.size > job.disk:
        raise ToolError(f"The folder holds more than the {job.disk // 2**20} MB that it may: remove files first.")
    return before, user


def as_result(ended: process.Ended, *, killed: str, files: Sequence[str]) -> SandboxResult:
    """`killed` is what is known beside what the process was killed for."""
    reason = ended.killed or killed or ("disk" if ended.code == _TOO_LARGE else "")
    return SandboxResult(
        code=None if reason else ended.code,
        stdout=ended.stdout,
        stderr=ended.stderr,
        cut=ended.cut,
        killed=reason,
        seconds=ended.seconds,
        made=files,
    )
