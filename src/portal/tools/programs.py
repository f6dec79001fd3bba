"""Programs of this machine that tools call with arguments of their own making: found, run, bounded."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from portal.errors import ToolError

_MOST = 20 * 2**20


def find(names: Sequence[str], install: str) -> str:
    """Where one of them is. Raises ToolError, which says how to install it."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise ToolError(f"This needs {names[0]}, which is not installed: {install}.")


async def run(command: Sequence[str], *, folder: Path, seconds: float) -> bytes:
    """Run to its end in a folder; what it writes. Raises ToolError when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "2"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    name = Path(command[0]).name
    try:
        async with asyncio.timeout(seconds):
            out, wrong = await process.communicate()
    except TimeoutError as error:
        raise ToolError(f"{name} took longer than {seconds:g} seconds.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = wrong.decode(errors="replace").strip().splitlines()
        raise ToolError(f"{name} could not do it: {lines[-1][:300] if lines else f'exit code {process.returncode}'}")
    return out[:_MOST]
