"""What an honest program finds in the sandbox, and what is told of it."""

import os
import stat
from pathlib import Path

import pytest
from tests.security.sandbox.conftest import Run, working

from portal.core.sandbox import SandboxJob
from portal.errors import ToolError
from portal.security.sandbox.bubblewrap import Bubblewrap
from portal.security.sandbox.cgroup import Cgroups
from portal.security.sandbox.folder import DEPTH
from portal.security.sandbox.view import View, own_python


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("python3", "-c", "print(sum(range(10)))"), "45\n"),
        (("node", "-e", "console.log([1, 2].map(n => n * 2).join())"), "2,4\n"),
        (("bash", "-c", "echo $((6 * 7)); pwd; whoami; hostname"), "42\n/work\nsandbox\nsandbox\n"),
        (("git", "--version"), "git version"),
    ],
)
async def test_the_usual_programs_run(argv: tuple[str, ...], said: str, run: Run) -> None:
    ended = await run(*argv)

    assert (ended.code, ended.killed, ended.cut) == (0, "", False), ended.stderr
    assert ended.stdout.decode().startswith(said)
    assert ended.seconds > 0


async def test_input_output_errors_and_the_exit_code(run: Run) -> None:
    ended = await run("bash", "-c", "cat; echo bad >&2; exit 3", stdin=b"in" * 100_000)

    assert (ended.code, ended.stdout, ended.stderr) == (3, b"in" * 100_000, b"bad\n")


async def test_input_that_nobody_reads_does_no_harm(run: Run) -> None:
    ended = await run("true", stdin=bytes(2**20))

    assert ended.code == 0


async def test_output_is_cut_where_it_is_too_long(run: Run) -> None:
    ended = await run("bash", "-c", "echo 123456789; echo 1 >&2", output=5)

    assert (ended.stdout, ended.stderr, ended.cut, ended.code) == (b"12345", b"1\n", True, 0)


async def test_files_stay_and_the_next_run_can_change_them(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "given.txt").write_text("given")
    (folder / "other.txt").write_text("other")
    (folder / "other.txt").chmod(0o600)

    first = await run(
        "bash", "-c", "cat other.txt; echo one >first.txt; echo more >>given.txt; mkdir in; echo x >in/side"
    )
    second = await run("bash", "-c", "cat first.txt; echo two >>first.txt; chmod 600 in/side")

    assert first.made == ["first.txt", "given.txt", "in/side"]
    assert (first.stdout, second.stdout) == (b"other", b"one\n")
    assert second.made == ["first.txt", "in/side"]
    assert (folder / "first.txt").read_text() == "one\ntwo\n"


async def test_readable_places_can_be_read_and_not_written(run: Run, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    (shown / "deep").mkdir(parents=True)
    (shown / "deep" / "note").write_text("hello")
    (tmp_path / "beside").write_text("PRIVATE")
    for place in (tmp_path, shown, shown / "deep"):
        place.chmod(0o755)

    ended = await run(
        "bash", "-c", f"cat {shown}/deep/note; echo no >{shown}/new; cat {tmp_path}/beside", readable=[shown]
    )

    assert ended.stdout == b"hello"
    assert ended.stderr.count(b"Read-only file system") == 1
    assert ended.stderr.count(b"No such file") == 1


async def test_what_is_hidden_shows_only_where_it_is_named(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "home" / "data"
    (data / "tools").mkdir(parents=True)
    (data / "key").write_text("PRIVATE")
    (data / "tools" / "note").write_text("tool")
    (tmp_path / "home" / "note").write_text("home")
    for place in (tmp_path, tmp_path / "home", data, data / "tools"):
        place.chmod(0o755)
    sandbox = await working(Bubblewrap(view=View(hidden=[data]), cgroups=Cgroups(), root=os.getuid() == 0))
    argv = ["bash", "-c", f"cat {data}/../note; cat {data}/key; cat {data}/tools/note; ls {data}"]

    around = await sandbox.run(SandboxJob(argv=argv, folder=folder, readable=[tmp_path / "home"]))
    within = await sandbox.run(SandboxJob(argv=argv, folder=folder, readable=[tmp_path / "home", data / "tools"]))

    assert around.stdout == b"home"
    assert within.stdout == b"hometooltools\n"


async def test_programs_of_the_owner_are_found(tmp_path: Path, folder: Path) -> None:
    program = tmp_path / "kit" / "bin" / "mytool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho mine")
    program.chmod(0o755)
    for place in (tmp_path, tmp_path / "kit", tmp_path / "kit" / "bin"):
        place.chmod(0o755)
    view = View(programs=[tmp_path / "kit", tmp_path / "absent"])
    sandbox = await working(Bubblewrap(view=view, cgroups=Cgroups(), root=os.getuid() == 0))

    ended = await sandbox.run(SandboxJob(argv=["mytool"], folder=folder))

    assert ended.stdout == b"mine\n"


async def test_the_interpreter_of_portal_can_be_a_program(folder: Path) -> None:
    sandbox = await working(Bubblewrap(view=View(programs=own_python()), cgroups=Cgroups(), root=os.getuid() == 0))

    ended = await sandbox.run(
        SandboxJob(argv=["python3", "-c", "import json, ssl, sys; print(sys.version)"], folder=folder)
    )

    assert ended.code == 0, ended.stderr


async def test_a_user_namespace_holds_as_well(folder: Path) -> None:
    """As it is where Portal is not root."""
    sandbox = await working(Bubblewrap(view=View(), cgroups=Cgroups(Path("/nonexistent")), root=False))

    ended = await sandbox.run(
        SandboxJob(argv=["bash", "-c", "touch /new /usr/new new; ls; grep Cap /proc/self/status"], folder=folder)
    )

    assert ended.stdout.decode().splitlines()[0] == "new"
    assert all(
        line.endswith("0" * 16) for line in ended.stdout.decode().splitlines() if line.startswith(("CapEff", "CapBnd"))
    )
    assert ended.stderr.count(b"Read-only file system") == 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs jobs as somebody else")
async def test_what_root_owns_in_the_folder_is_given_to_the_stranger_and_nothing_else(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "roots").write_text("x")
    (folder / "theirs").write_text("x")
    os.chown(folder / "theirs", 4321, 4321)
    outside = folder.parent / "outside"
    outside.write_text("x")
    (folder / "link").symlink_to(outside)

    await run("true")

    user = folder.stat().st_uid
    assert user > 60000
    assert (folder / "roots").stat().st_uid == (folder / "link").lstat().st_uid == user
    assert (folder / "theirs").stat().st_uid == 4321
    assert outside.stat().st_uid == 0
    assert stat.S_IMODE(folder.stat().st_mode) & 0o700 == 0o700


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({"argv": ["no-such-program"]}, "no program 'no-such-program'"),
        ({"argv": []}, "no program with its arguments"),
        ({"argv": ["A=1"]}, "no program with its arguments"),
        ({"argv": ["-c"]}, "no program with its arguments"),
        ({"argv": ["echo", "a\0b"]}, "no program with its arguments"),
        ({"argv": ["true"], "environment": {"A B": "x"}}, "no name of an environment variable"),
        ({"argv": ["true"], "readable": [Path("/")]}, "cannot be shown"),
        ({"argv": ["true"], "readable": [Path("relative")]}, "whole path"),
        ({"argv": ["true"], "readable": [Path("/usr,target=/etc")]}, "whole path"),
        ({"argv": ["true"], "folder": Path("job")}, "whole path"),
        ({"argv": ["echo", "x" * 3 * 10**6]}, "cannot be started"),
        ({"argv": ["true"], "readable": [Path("/nonexistent/place")]}, "is not there"),
        ({"argv": ["true"], "folder": Path("/proc/portal")}, "cannot be made"),
    ],
)
async def test_what_cannot_be_run_is_said(
    bounds: dict[str, object], why: str, bubblewrap: Bubblewrap, folder: Path
) -> None:
    with pytest.raises(ToolError, match=why):
        await bubblewrap.run(SandboxJob(**{"folder": folder, **bounds}))  # type: ignore[arg-type]


async def test_a_folder_that_is_too_full_already(bubblewrap: Bubblewrap, folder: Path) -> None:
    folder.mkdir()
    (folder / "large").write_bytes(bytes(2**20))

    with pytest.raises(ToolError, match="remove files first"):
        await bubblewrap.run(SandboxJob(argv=["true"], folder=folder, disk=1000))


async def test_a_folder_that_is_too_deep_already(bubblewrap: Bubblewrap, folder: Path) -> None:
    (folder / "/".join("x" * DEPTH)).mkdir(parents=True)

    with pytest.raises(ToolError, match="deeper than"):
        await bubblewrap.run(SandboxJob(argv=["true"], folder=folder))


async def test_a_program_killed_by_a_signal_says_so_by_its_code(run: Run) -> None:
    assert (await run("bash", "-c", "kill -TERM $$")).code == 128 + 15


async def test_ending_it_at_its_very_beginning_leaves_nothing_behind(bubblewrap: Bubblewrap, folder: Path) -> None:
    """Whatever moment of bubblewrap's own start the end hits: it would wait for the other end of a pipe for ever."""
    for number in range(40):
        ended = await bubblewrap.run(SandboxJob(argv=["sleep", "1000"], folder=folder, seconds=0.001 * number))

        assert ended.killed == "time"
