"""The container sandbox, by the command of an engine."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.security.sandbox.test_choice import IMAGE, engine

from portal.core.sandbox import SandboxJob
from portal.errors import ToolError
from portal.security.sandbox.container import Container


@pytest.fixture(params=["docker", "podman"])
async def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    made = Container(engine=str(engine(tmp_path / "bin", request.param)), image=IMAGE)
    assert await made.works() == ""
    return made


async def test_a_program_runs_and_its_files_stay(container: Container, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    job = SandboxJob(argv=["sh", "-c", "cat; echo 1 >new; echo $MINE >&2; exit 3"], folder=folder, stdin=b"in")

    ended = await container.run(job)

    assert (ended.code, ended.stdout, ended.made) == (3, b"in", ["new"])
    assert await container.read(folder, "new", 10) == b"1\n"


@pytest.mark.parametrize("network", [True, False])
async def test_the_bounds_are_the_engines(network: bool, container: Container, tmp_path: Path) -> None:
    job = SandboxJob(
        argv=["env"], folder=tmp_path / "job", readable=[tmp_path], environment={"MINE": "1"}, network=network
    )

    said = (await container.run(job)).stdout.decode()

    assert "MINE=1" in said
    for words in (
        "'--cap-drop': ['ALL']",
        "no-new-privileges",
        f"'--memory': ['{2**30}']",
        f"target={tmp_path},readonly",
    ):
        assert words in said
    assert ("'--network': ['bridge']" in said) == network
    assert "'--user': ['0:" not in said


@pytest.mark.parametrize(
    ("program", "bounds", "killed"),
    [
        ("sleep 1000", {"seconds": 1}, "time"),
        ("yes", {}, "output"),
        ("head -c 9000000 /dev/zero >a; sleep 1000", {"disk": 2**20}, "disk"),
        ("kill -KILL $$", {}, "memory"),
    ],
)
async def test_what_goes_too_far_is_ended(
    program: str, bounds: dict[str, int], killed: str, container: Container, tmp_path: Path
) -> None:
    job = SandboxJob(argv=["sh", "-c", program], folder=tmp_path / "job", **bounds)  # type: ignore[arg-type]

    ended = await container.run(job)

    assert (ended.killed, ended.code) == (killed, None)


async def test_cancelling_removes_the_container(container: Container, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    os.mkfifo(folder / "alive")
    os.chmod(folder, 0o777)
    reader = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
    started = asyncio.Event()
    asyncio.get_running_loop().add_reader(reader, started.set)

    async with asyncio.TaskGroup() as group:
        job = SandboxJob(argv=["sh", "-c", "exec 3>alive; echo >&3; sleep 1000"], folder=folder)
        task = group.create_task(container.run(job))
        await started.wait()
        asyncio.get_running_loop().remove_reader(reader)
        task.cancel()

    os.set_blocking(reader, True)
    while os.read(reader, 100):
        pass
    os.close(reader)


async def test_a_program_that_is_not_in_the_image(container: Container, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be run in a container"):
        await container.run(SandboxJob(argv=["no-such-program"], folder=tmp_path / "job"))
