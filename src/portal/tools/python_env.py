"""A Python environment of the conversation's own, for packages that run_python uses. Made and filled in the sandbox,
since installing a package may run its code."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.core.tool_ports import Sandbox
from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.settings.tools import ToolSettings
from portal.tools.code import DISK, ENVIRONMENT, Sandboxed, interpreter
from portal.tools.families import Needs
from portal.tools.folders import Place
from portal.tools.function import tool

_MAKING, _INSTALLING = 120, 480
_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
"""Whom this machine trusts, a company's own authority among them."""


def create(needs: Needs) -> "PythonTools":
    """The family."""
    return PythonTools(needs.sandbox, needs.settings.tools)


class PythonTools(Sandboxed):
    """The tools."""

    def __init__(self, sandbox: Sandbox, settings: ToolSettings) -> None:
        self._sandbox, self._settings = sandbox, settings
        super().__init__("python_env", [self.python_install, self.python_packages], sandbox)

    @tool(risk="network", timeout=_MAKING + _INSTALLING + 30)
    async def python_install(
        self,
        context: ToolContext,
        packages: Annotated[list[str], "Names, with versions if it matters: requests, pandas==2.2"],
        fresh: Annotated[bool, "Begin with an empty environment"] = False,
    ) -> str:
        """Install Python packages for run_python in this conversation. They are taken from the package index."""
        for package in packages:
            if not re.match(r"[\w./]", package):
                raise ToolError(f"{package!r} is not a package.")
        if fresh or not (context.folder / ENVIRONMENT / "bin").is_dir():
            context.report("making the environment")
            await self._make(context)
        if packages:
            context.report(f"installing {', '.join(packages)}")
            await self._install(context, packages)
        return f"Ready for run_python: {self.python_packages(context)}"

    @tool(risk="read")
    def python_packages(self, context: ToolContext) -> str:
        """List the Python packages installed in this conversation's environment."""
        environment = Place(context.folder.resolve(), Path(ENVIRONMENT, "lib"), own=True)
        found = environment.path.glob("python*/site-packages/*.dist-info")
        names = sorted(path.name.removesuffix(".dist-info").replace("-", " ") for path in found)
        return ", ".join(names) or "no packages; python_install installs some."

    async def _make(self, context: ToolContext) -> None:
        python, _ = interpreter(self._settings)
        await self._checked(context, [*python, "-m", "venv", "--clear", ENVIRONMENT], seconds=_MAKING)

    async def _install(self, context: ToolContext, packages: Sequence[str]) -> None:
        pip = [f"{ENVIRONMENT}/bin/python", "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir"]
        await self._checked(context, [*pip, "--", *packages], seconds=_INSTALLING, network=True)

    async def _checked(
        self, context: ToolContext, argv: Sequence[str], *, seconds: float, network: bool = False
    ) -> None:
        _, readable = interpreter(self._settings)
        told = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **_trusted()}
        if self._settings.package_index:
            told["PIP_INDEX_URL"] = self._settings.package_index
        job = SandboxJob(
            argv=argv,
            folder=context.folder,
            readable=readable,
            environment=told,
            seconds=seconds,
            disk=DISK,
            network=network,
        )
        _ended_well(await self._sandbox.run(job))


def _trusted() -> dict[str, str]:
    return {"PIP_CERT": _TRUSTED} if os.path.exists(_TRUSTED) else {}


def _ended_well(result: SandboxResult) -> None:
    if result.code != 0:
        said = (result.stderr or result.stdout).decode("utf-8", errors="replace").strip()
        raise ToolError(f"It did not work ({result.killed or f'exit code {result.code}'}): {said[-2000:]}")
