"""What is seen of a folder, and what is done about those that nobody could read or remove."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from portal.security.sandbox import folder, memory
from portal.security.sandbox.seccomp import policy
from portal.security.sandbox.syscalls import MACHINES


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        folder.look(tmp_path / ("x" * 300))
    assert folder.overfull(tmp_path / ("x" * 300), folder.look(tmp_path), 100)


def test_links_are_counted_and_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "large").write_bytes(bytes(10**6))
    (inside / "link").symlink_to(tmp_path / "large")
    (inside / "up").symlink_to(tmp_path)

    found = folder.look(inside)

    assert (found.entries, found.depth, dict(found.files)) == (2, 1, {})
    assert found.size < 10**5


def test_too_deep_folders_are_removed_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3 * folder.DEPTH):
        os.mkdir("deep" * 20, dir_fd=here)
        inner = os.open("deep" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.symlink(tmp_path.parent, "out", dir_fd=here)
    os.close(here)
    assert folder.look(tmp_path).depth == folder.DEPTH

    found = folder.settled(tmp_path)

    assert found.depth < folder.DEPTH + 1
    assert set(found.files) == {"kept"}
    assert not [each for each in os.listdir(tmp_path) if each.startswith(".deep")]


def test_names_that_are_no_text_are_not_told(tmp_path: Path) -> None:
    before = folder.look(tmp_path)
    (tmp_path / "good").write_text("")
    (tmp_path / "bad\n").write_text("")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("")

    assert folder.made(before, folder.look(tmp_path)) == ["good"]


def test_memory_of_a_process_and_of_one_that_is_gone() -> None:
    assert memory.used(os.getpid()) > 10**6
    assert memory.used(2**22 + 1) == 0


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", [True, False])
def test_the_filter_is_whole_for_every_processor(machine: str, network: bool) -> None:
    code = policy(machine, network=network)

    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096  # the kernel's bound
    for at in range(0, len(code), 8):
        assert at // 8 + 1 + max(code[at + 2], code[at + 3]) <= len(code) // 8  # no jump past the end


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else for a moment")
def test_shut_folders_are_opened_and_what_links_point_to_stays() -> None:
    """As one who is not root: in a process of its own, for rights are a process's. And in a folder of its own: each
    run of pytest that begins shuts the one in which all of them have theirs."""
    with tempfile.TemporaryDirectory() as folder:
        _shut_folders_are_opened(Path(folder))


def _shut_folders_are_opened(place: Path) -> None:
    inside, outside = place / "in", place / "out"
    (inside / "shut" / "deeper").mkdir(parents=True)
    (inside / "shut" / "deeper" / "file").write_text("x")
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    for each in (inside / "shut" / "deeper" / "file", inside / "shut" / "deeper", inside / "shut", inside, outside):
        os.chown(each, 4321, 4321)
    for each in (outside, inside / "shut" / "deeper", inside / "shut"):
        each.chmod(0)
    place.chmod(0o755)

    child = os.fork()
    if child == 0:
        try:
            os._exit(_as_somebody(inside))
        finally:
            os._exit(9)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert stat.S_IMODE(outside.stat().st_mode) == 0
    assert stat.S_IMODE((inside / "shut").stat().st_mode) == 0o700


def _as_somebody(inside: Path) -> int:
    """Runs in the forked process; 0 where all is well."""
    os.setresuid(4321, 4321, 4321)
    full = folder.overfull(inside, folder.Contents(0, 0, 0, {}), 10**6)
    try:
        folder.look(inside)
    except PermissionError:
        return 0 if full and set(folder.settled(inside).files) == {"shut/deeper/file"} else 1
    return 2
