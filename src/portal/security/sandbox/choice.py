"""The best sandbox that this machine offers, or the reason why there is none."""

import os
import shutil
import sys
from pathlib import Path

from portal.core.tool_ports import Sandbox
from portal.security.sandbox.bubblewrap import SYSTEM, Bubblewrap
from portal.security.sandbox.cgroup import Cgroups
from portal.security.sandbox.container import ENGINES, Container
from portal.security.sandbox.none import NoSandbox
from portal.security.sandbox.view import View, own_python
from portal.settings import Settings

_ADVICE = {
    "linux": "Install bubblewrap (`sudo apt install bubblewrap`, `sudo dnf install bubblewrap`)",
    "darwin": "Install and start Docker Desktop or Podman",
}


async def find_sandbox(settings: Settings, *, system: str = SYSTEM, search: str | None = None) -> Sandbox:
    """Look once, by running something; what is installed later needs a restart. `system` is the PATH of bubblewrap and
    what it needs, `search` that of container engines (by default the environment's).
    """
    if sys.platform not in _ADVICE:
        return NoSandbox(reason="Programs can be run safely on Linux and macOS only.")
    reasons = []
    if sys.platform == "linux":
        bubblewrap = Bubblewrap(view=_view(settings), cgroups=Cgroups(), root=os.getuid() == 0, system=system)
        reason = await bubblewrap.works()
        if not reason:
            return bubblewrap
        reasons.append(reason)
    for name in ENGINES:
        engine = shutil.which(name, path=search)
        if engine:
            container = Container(engine=engine, image=settings.tools.container_image)
            reason = await container.works()
            if not reason:
                return container
            reasons.append(reason)
    return NoSandbox(
        reason=" ".join(
            [
                "Programs cannot be run safely here.",
                *reasons,
                f"{_ADVICE[sys.platform]}; see the manual's page on the sandbox.",
            ]
        )
    )


def _view(settings: Settings) -> View:
    return View(
        programs=(*(place.expanduser().resolve() for place in settings.tools.programs), *own_python()),
        hidden=(settings.data_dir.resolve(), *_environment()),
    )


def _environment() -> tuple[Path, ...]:
    """Portal's own virtual environment, where it has one."""
    return () if sys.prefix == sys.base_prefix else (Path(sys.prefix).resolve(),)
