import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from portal.core.tools import ToolResult
from portal.errors import ToolError
from portal.testing.tool_calls import call, tool_context
from portal.tools.docker import DockerTools
from portal.tools.folders import Folders

STAND_IN = Path(__file__).with_name("docker_stand_in.py")
Call = Callable[..., Coroutine[Any, Any, ToolResult]]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "granted").mkdir()
    return Folders(folders=[tmp_path / "granted"], hidden=tmp_path / "data")


@pytest.fixture
def run(folders: Folders, tmp_path: Path) -> Call:
    tools = DockerTools(folders, [sys.executable, str(STAND_IN), str(tmp_path / "state.json")])

    async def run(tool: str, **arguments: object) -> ToolResult:
        return await call(tools, tool, tmp_path / "conv", **arguments)

    return run


async def test_a_container_runs_to_its_end_and_is_removed(run: Call) -> None:
    done = await run("docker_run", image="alpine", command=["echo", "hello", "--name=x"])
    failed = await run("docker_run", image="alpine", command=["false"])

    assert done.text == "hello --name=x\n[exit code 0]"
    assert failed.text == "one\ntwo\n[exit code 3]"
    assert failed.failed
    assert (await run("docker_ps", all=True)).text == "No containers."


async def test_a_server_stays_until_it_is_stopped(run: Call) -> None:
    started = await run("docker_run", image="nginx:1.27", name="web", ports=["8080:80"], background=True)

    assert started.text == "Runs as web."
    assert (await run("docker_ps")).text == "web\tnginx:1.27\tUp\t127.0.0.1:8080:80"
    assert (await run("docker_logs", container="web", lines=1)).text == "two"
    assert (await run("docker_stop", container="web")).text == "Stopped web."
    assert (await run("docker_ps")).text == "No containers."
    assert (await run("docker_stop", container="web", remove=True)).text == "Removed web."
    assert (await run("docker_ps", all=True)).text == "No containers."


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("docker_run", {"image": "--privileged"}, "is not an image"),
        ("docker_run", {"image": "absent"}, "Unable to find image"),
        ("docker_run", {"image": "a", "name": "--volume=/:/host"}, "is not a name"),
        ("docker_run", {"image": "a", "ports": ["0.0.0.0:80:80"]}, "two ports"),
        ("docker_run", {"image": "a", "ports": ["--privileged"]}, "two ports"),
        ("docker_logs", {"container": "--since=1"}, "is not a name"),
        ("docker_logs", {"container": "absent"}, "No such container"),
        ("docker_stop", {"container": "absent"}, "No such container"),
        ("compose_up", {"project": "/etc"}, "not in a folder"),
        ("compose_up", {}, "no compose file"),
    ],
)
async def test_what_goes_wrong_is_told(run: Call, tool: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        await run(tool, **arguments)


async def test_compose(run: Call, tmp_path: Path) -> None:
    project = tmp_path / "granted/shop"
    project.mkdir()
    (project / "compose.yaml").write_text("services: {}\n")

    assert (await run("compose_up", project=str(project), services=["web", "db"])).text == "up web,db"
    assert (await run("compose_ps", project=str(project))).text == "ps"
    assert (await run("compose_down", project=str(project))).text == "down"
    with pytest.raises(ToolError, match="is not a name"):
        await run("compose_up", project=str(project), services=["--privileged"])


async def test_a_compose_file_that_leads_elsewhere_is_refused(run: Call, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("services: {}\n")
    (tmp_path / "granted/compose.yaml").symlink_to(tmp_path / "outside.yaml")

    with pytest.raises(ToolError, match="through a link"):
        await run("compose_up", project=str(tmp_path / "granted"))


async def test_a_docker_that_hangs_is_stopped(folders: Folders, tmp_path: Path) -> None:
    tools = DockerTools(folders, ["sleep", "60", "#"], patience=0.2)
    hangs = DockerTools(folders, [sys.executable, "-c", "import time; time.sleep(60)"], patience=0.2)

    with pytest.raises(ToolError, match="did not end within"):
        await call(hangs, "docker_ps", tmp_path)
    with pytest.raises(ToolError, match="docker ps"):
        await call(tools, "docker_ps", tmp_path)


async def test_only_what_is_there_is_offered(folders: Folders, tmp_path: Path) -> None:
    absent, alone = DockerTools(folders, []), DockerTools(folders, ["docker"], compose=False)

    assert list(absent.tools()) == []
    assert [spec.name for spec in alone.tools()] == ["docker_ps", "docker_logs", "docker_run", "docker_stop"]
    with pytest.raises(ToolError, match="not installed"):
        await absent.call("docker_ps", {}, tool_context(tmp_path))


@pytest.mark.skipif(not which("docker"), reason="needs the docker program")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("docker_ps", {"all": True}),
        ("docker_logs", {"container": "web"}),
        ("docker_run", {"image": "alpine", "name": "web", "ports": ["8080:80"], "command": ["ls", "-l"]}),
        ("docker_stop", {"container": "web"}),
    ],
)
async def test_the_real_program_takes_the_options(
    folders: Folders, tmp_path: Path, tool: str, arguments: dict[str, object]
) -> None:
    tools = DockerTools(folders, ["docker", "--host", f"unix://{tmp_path}/no-engine.sock"])

    with pytest.raises(ToolError, match=r"(?i)(cannot|failed to) connect to the docker"):
        await call(tools, tool, tmp_path, **arguments)
