"""Docker and Compose, by the docker program. Containers get no more of this machine than Docker gives them by default:
no folders, no devices, no privileges."""

import re
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Annotated

from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted
from portal.tools.function import Functions, tool
from portal.tools.program import Ended, run

_SLOW = 600
_PLUGIN_PLACES = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

Container = Annotated[str, "Name or id of the container"]
Project = Annotated[str, "Folder with the compose file"]


def create(needs: Needs) -> "DockerTools":
    """The family."""
    docker = which("docker")
    folders = granted(needs.settings)
    compose = any((folder / "docker-compose").exists() for folder in _plugin_folders())
    return DockerTools(folders, [docker] if docker else [], compose=compose)


def _plugin_folders() -> list[Path]:
    """Where Docker looks for the programs behind its further commands."""
    return [Path.home() / ".docker/cli-plugins", *(Path(place, "docker/cli-plugins") for place in _PLUGIN_PLACES)]


class DockerTools(Functions):
    """The tools; none where there is no docker."""

    def __init__(self, folders: Folders, program: Sequence[str], *, compose: bool = True, patience: float = 60) -> None:
        """`program` is how docker is called, `compose` whether it has Compose; `patience` is in seconds, for what
        should be quick."""
        self._folders, self._program, self._compose_there, self._patience = folders, program, compose, patience
        super().__init__(
            "docker",
            [
                self.docker_ps,
                self.docker_logs,
                self.docker_run,
                self.docker_stop,
                self.compose_ps,
                self.compose_up,
                self.compose_down,
            ],
        )

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        there = super().tools() if self._program else []
        return [spec for spec in there if self._compose_there or not spec.name.startswith("compose_")]

    @tool(risk="read")
    async def docker_ps(self, all: Annotated[bool, "Also those that ended"] = False) -> str:
        """List Docker containers with their image, state and ports."""
        form = "{{.Names}}\t{{.Image}}\t{{.Status}}\t{{.Ports}}"
        listed = await self._docker("ps", "--format", form, *(["--all"] if all else []))
        return listed.text.strip() or "No containers."

    @tool(risk="read", untrusted=True)
    async def docker_logs(self, container: Container, lines: Annotated[int, "How many of the last"] = 100) -> str:
        """Read what a Docker container printed last."""
        ended = await self._docker("logs", "--tail", str(max(1, min(lines, 5000))), _named(container))
        return _both(ended) or "It printed nothing."

    @tool(risk="execute", timeout=_SLOW + 30)
    async def docker_run(
        self,
        image: Annotated[str, "Such as nginx:1.27"],
        command: Annotated[list[str], "Program and arguments; empty takes the image's own"] = [],  # noqa: B006
        name: Annotated[str, "Name for the container"] = "",
        ports: Annotated[list[str], "Ports to open on this machine, as 8080:80"] = [],  # noqa: B006
        background: Annotated[bool, "Leave it running, as a server; else wait for its end"] = False,
    ) -> ToolResult:
        """Start a Docker container, and wait for its output or leave it running."""
        options = [f"--name={_named(name)}"] if name else []
        options += [word for port in ports for word in ("--publish", _local(port))]
        safe = ["--detach", "--security-opt=no-new-privileges"]
        started = await self._docker("run", *safe, *options, _image(image), *command, seconds=_SLOW)
        container = started.text.strip().split("\n")[-1]
        if background:
            return ToolResult(text=f"Runs as {name or container[:12]}.")
        try:
            code = (await self._docker("wait", container, seconds=_SLOW)).text.strip()
            said = _both(await self._docker("logs", container))
        finally:
            await self._docker("rm", "--force", container)
        return ToolResult(text=f"{said}\n[exit code {code}]".lstrip("\n"), failed=code != "0")

    @tool(risk="execute")
    async def docker_stop(
        self, container: Container, remove: Annotated[bool, "Remove it too, with what it wrote"] = False
    ) -> str:
        """Stop a Docker container."""
        await self._docker("stop", _named(container))
        if remove:
            await self._docker("rm", container)
        return f"{'Removed' if remove else 'Stopped'} {container}."

    @tool(risk="read", scopes={"project": "path"})
    async def compose_ps(self, context: ToolContext, project: Project = ".") -> str:
        """List the containers of a Docker Compose project."""
        listed = await self._compose(context, project, "ps", "--all")
        return listed.text.strip()

    @tool(risk="execute", scopes={"project": "path"}, timeout=_SLOW + 30)
    async def compose_up(
        self,
        context: ToolContext,
        project: Project = ".",
        services: Annotated[list[str], "Only these; empty for all"] = [],  # noqa: B006
    ) -> str:
        """Start the containers of a Docker Compose project. Its file may give them any rights on this machine."""
        names = [_named(service) for service in services]
        ended = await self._compose(context, project, "up", "--detach", *names, seconds=_SLOW)
        return _both(ended) or "Started."

    @tool(risk="execute", scopes={"project": "path"}, timeout=_SLOW + 30)
    async def compose_down(self, context: ToolContext, project: Project = ".") -> str:
        """Stop and remove the containers of a Docker Compose project; its volumes stay."""
        return _both(await self._compose(context, project, "down", seconds=_SLOW)) or "Stopped."

    async def _compose(self, context: ToolContext, project: str, *arguments: str, seconds: float = 0) -> Ended:
        folder = self._folders.at(project, context)
        file = next((name for name in _COMPOSE_FILES if (folder.path / name).is_file()), None)
        if file is None:
            raise ToolError(f"There is no compose file in {folder.shown}.")
        words = [
            "--ansi=never",
            "--progress=plain",
            f"--file={self._folders.at(str(folder.path / file), context).path}",
        ]
        return await self._docker("compose", *words, *arguments, seconds=seconds, folder=folder.path)

    async def _docker(self, *arguments: str, seconds: float = 0, folder: Path | None = None) -> Ended:
        if not self._program:
            raise ToolError("Docker is not installed on this machine.")
        argv, seconds = [*self._program, *arguments], seconds or self._patience
        ended = await run(argv, environment=program_environment(), folder=folder, seconds=seconds)
        if ended.code is None:
            raise ToolError(f"docker {arguments[0]} did not end within {seconds:g} seconds.")
        if ended.code:
            raise ToolError(f"docker {arguments[0]}: {ended.complaint[-2000:]}")
        return ended


def _both(ended: Ended) -> str:
    return (ended.stdout + ended.stderr).decode("utf-8", errors="replace").strip()


def _named(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ToolError(f"{name!r} is not a name that Docker takes.")
    return name


def _image(image: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", image):
        raise ToolError(f"{image!r} is not an image.")
    return image


def _local(port: str) -> str:
    """Open on this machine only, not to its network."""
    if not re.fullmatch(r"\d{1,5}:\d{1,5}(/(tcp|udp))?", port):
        raise ToolError(f"{port!r} are not two ports, such as 8080:80.")
    return f"127.0.0.1:{port}"
