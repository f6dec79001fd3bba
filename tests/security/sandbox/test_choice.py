"""Which sandbox a machine gets, and what is said where there is none."""

import os
import sys
from pathlib import Path

import pytest
import uvloop
from tests.security.sandbox.conftest import NOWHERE, working

from portal.core.sandbox import SandboxJob
from portal.errors import ToolError
from portal.security.sandbox.bubblewrap import Bubblewrap
from portal.security.sandbox.cgroup import Cgroup, Cgroups
from portal.security.sandbox.choice import NoSandbox, find_sandbox
from portal.security.sandbox.container import Container
from portal.security.sandbox.view import View
from portal.settings import Settings

ENGINE = Path(__file__).with_name("container_engine.py")
IMAGE = "docker.io/library/node:22"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def engine(folder: Path, name: str, *, images: str = IMAGE, running: bool = True) -> Path:
    """A container engine's command."""
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f"#!/bin/sh\nexec {sys.executable} {ENGINE} '{images}' {int(running)} {folder} \"$@\"\n")
    command.chmod(0o755)
    return command


async def test_bubblewrap_is_the_first_choice(settings: Settings) -> None:
    await working(Bubblewrap(view=View(), cgroups=Cgroups(), root=os.getuid() == 0))

    found = await find_sandbox(settings)

    assert isinstance(found, Bubblewrap)
    assert found.refusal() == ""
    await found.run(SandboxJob(argv=["true"], folder=settings.data_dir / "job"))


async def test_a_container_is_the_second_choice(settings: Settings, tmp_path: Path) -> None:
    engine(tmp_path / "bin", "docker", running=False)
    engine(tmp_path / "bin", "podman")

    found = await find_sandbox(settings, system=str(NOWHERE), search=str(tmp_path / "bin"))

    assert isinstance(found, Container)
    assert found.refusal() == ""


@pytest.mark.parametrize(
    ("images", "running", "said"),
    [("", True, f"docker pull {IMAGE}"), (IMAGE, False, "docker does not run."), ("readonly", True, "did not work")],
)
async def test_without_any_nothing_runs_and_it_says_what_to_install(
    images: str, running: bool, said: str, settings: Settings, tmp_path: Path
) -> None:
    image = images if images == "readonly" else IMAGE
    chosen = settings.model_copy(update={"tools": settings.tools.model_copy(update={"container_image": image})})
    engine(tmp_path / "bin", "docker", images=images, running=running)
    own = tmp_path / "job"
    own.mkdir()
    (own / "file").write_bytes(b"data")

    found = await find_sandbox(chosen, system=str(NOWHERE), search=str(tmp_path / "bin"))

    assert isinstance(found, NoSandbox)
    assert said in found.refusal()
    assert "Not installed: " in found.refusal()
    assert "apt install bubblewrap" in found.refusal()
    with pytest.raises(ToolError, match="cannot be run safely"):
        await found.run(SandboxJob(argv=["touch", "new"], folder=own))
    assert sorted(each.name for each in own.iterdir()) == ["file"]
    assert await found.read(own, "file", 10) == b"data"


async def test_bubblewrap_that_does_not_work_is_not_used(settings: Settings, tmp_path: Path) -> None:
    """As where a machine forbids new namespaces, or it loads no filter."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("prlimit", "setpriv", "sh"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    (tools / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    (tools / "bwrap").chmod(0o755)

    found = await find_sandbox(settings, system=f"{tools}:/usr/bin", search=str(NOWHERE))

    assert "No permissions to create new namespace" in found.refusal()


async def test_a_machine_without_cgroups_or_with_another_kind(tmp_path: Path) -> None:
    """The unified hierarchy, as far as files can stand for it: bounds are written, and what cannot hold is refused."""
    top = tmp_path / "cgroup"
    (top / "user" / "app").mkdir(parents=True)
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text("0::/user/app\n")
    (proc / "mountinfo").write_text(f"1 0 0:1 / {top} rw - cgroup2 cgroup2 rw\n")

    assert Cgroups(proc).make(2**20) is None
    assert Cgroups(NOWHERE).make(2**20) is None
    assert not Cgroup((top,)).starved()
    (top / "memory.events").write_text("low 0\noom_kill 2\n")
    (top / "cgroup.kill").write_text("")
    (top / "cgroup.procs").write_text("")
    assert Cgroup((top,)).starved()
    Cgroup((top,)).kill()
    assert (top / "cgroup.kill").read_text() == "1"


class Shut(Cgroups):
    """Makes cgroups that nothing may enter, as where Portal's own session is not its to leave."""

    def make(self, memory: int) -> Cgroup:
        return Cgroup((NOWHERE,))


async def test_a_cgroup_that_cannot_be_entered_is_done_without(tmp_path: Path) -> None:
    sandbox = await working(Bubblewrap(view=View(), cgroups=Shut(), root=os.getuid() == 0))

    assert (await sandbox.run(SandboxJob(argv=["true"], folder=tmp_path / "job"))).code == 0


def test_it_runs_on_the_loop_of_the_server_too(tmp_path: Path) -> None:
    async def run() -> int | None:
        sandbox = await working(Bubblewrap(view=View(), cgroups=Cgroups(), root=os.getuid() == 0))
        ended = await sandbox.run(SandboxJob(argv=["cat"], folder=tmp_path / "job", stdin=bytes(10**6)))
        return len(ended.stdout)

    assert uvloop.run(run()) == 10**6
