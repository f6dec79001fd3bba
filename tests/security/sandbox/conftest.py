import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.security.sandbox.bubblewrap import Bubblewrap
from portal.security.sandbox.cgroup import Cgroups
from portal.security.sandbox.view import View

Run = Callable[..., Awaitable[SandboxResult]]
NOWHERE = Path("/nonexistent")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "job"


@pytest.fixture(params=["bounded together", "bounded each"])
async def bubblewrap(request: pytest.FixtureRequest) -> Bubblewrap:
    """With a cgroup, and as it is where none can be made."""
    cgroups = Cgroups() if request.param == "bounded together" else Cgroups(NOWHERE)
    made = cgroups.make(2**28)
    if made is not None:
        made.remove()
    elif request.param == "bounded together":
        pytest.skip("NOT TESTED, the sandbox with a cgroup: none can be made here")
    return await working(Bubblewrap(view=View(), cgroups=cgroups, root=os.getuid() == 0))


async def working(sandbox: Bubblewrap) -> Bubblewrap:
    reason = await sandbox.works()
    if reason:
        pytest.skip(f"NOT TESTED, the sandbox: {reason}")
    return sandbox


@pytest.fixture
def run(bubblewrap: Bubblewrap, folder: Path) -> Run:
    async def start(*argv: str, **bounds: Any) -> SandboxResult:
        return await bubblewrap.run(SandboxJob(argv=argv, folder=folder, **{"seconds": 90, **bounds}))

    return start
