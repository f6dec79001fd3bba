"""Which files tools reach, and which never, beyond what the tests of the files tools show."""

import os
from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.errors import ToolError
from portal.tools.folders import Folders, keep


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    folder = tmp_path / "granted"
    folder.mkdir()
    (folder / "a.txt").write_text("granted")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def test_a_name_means_the_conversations_folder_and_a_whole_path_a_granted_one(tmp_path: Path, granted: Path) -> None:
    talk = conversation(tmp_path)
    (talk.folder / "a.txt").write_text("own")
    folders = Folders(folders=[granted], hidden=tmp_path / "data")

    assert folders.file("a.txt", talk, largest=9).read() == b"own"
    assert folders.file(str(granted / "a.txt"), talk, largest=9).read() == b"granted"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../secret.txt", "not in a folder"),
        ("{tmp}/secret.txt", "not in a folder"),
        ("/etc/passwd", "not in a folder"),
        ("link.txt", "through a link"),
        ("folder/secret.txt", "through a link"),
        ("none", "No such file"),
        ("x" * 300, "too long"),
        ("", "not a file"),
        ("dir", "not a file"),
        ("pipe", "neither a file"),
        ("large", "larger than 3 bytes"),
    ],
)
def test_what_is_no_file_to_read(tmp_path: Path, granted: Path, path: str, said: str) -> None:
    talk = conversation(tmp_path)
    (talk.folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (talk.folder / "folder").symlink_to(tmp_path)
    (talk.folder / "dir").mkdir()
    (talk.folder / "large").write_text("1234")
    os.mkfifo(talk.folder / "pipe")
    folders = Folders(folders=[granted], hidden=tmp_path / "data")

    with pytest.raises(ToolError, match=said):
        folders.file(path.format(tmp=tmp_path), talk, largest=3)


def test_a_made_file_is_kept_by_its_plain_name(tmp_path: Path) -> None:
    talk = conversation(tmp_path)
    (talk.folder / "way").symlink_to(tmp_path / "evil")

    made = keep(talk, "../../chart.png", b"picture")

    assert (made.name, made.content_type, made.data) == ("chart.png", "image/png", b"picture")
    assert (talk.folder / "chart.png").read_bytes() == b"picture"
    assert keep(talk, "a/..", b"").name == "file"
    assert keep(talk, "what.unknownkind", b"").content_type == "application/octet-stream"
    keep(talk, "way", b"x")
    assert not (tmp_path / "evil").exists()
    with pytest.raises(ToolError, match="cannot be written"):
        keep(talk, "x" * 300, b"")


async def test_portals_own_folder_is_left_out_of_a_folder_around_it(tmp_path: Path) -> None:
    around, data, talk = tmp_path / "all", tmp_path / "all/data", conversation(tmp_path)
    data.mkdir(parents=True)
    (data / "secrets.json").write_text("a secret")
    (around / "mine.txt").write_text("no secret")
    families = {name: family(name, around, tools={"folders": [tmp_path]}) for name in ("files", "archives")}
    files, archives = families["files"], families["archives"]

    packed = await call(archives, "create_archive", talk, path="x.zip", sources=[str(around)])
    listed = await call(files, "list_folder", talk, path=str(around), depth=5)
    found = await call(files, "search_files", talk, path=str(around), text="secret")
    copied = await call(files, "copy_file", talk, source=str(around), target="copy")

    assert packed.text.startswith("Packed 1 files")
    assert "data" not in listed.text.replace(str(around), "")
    assert "mine.txt" in found.text
    assert "secrets.json" not in found.text
    assert "Copied" in copied.text
    assert [one.name for one in (talk.folder / "copy").rglob("*")] == ["mine.txt"]
    for tool, arguments in {
        "move_file": {"source": str(around), "target": "x"},
        "delete_file": {"path": str(around)},
    }.items():
        assert "Portal's own folder is in it" in await refusal(files, tool, talk, **arguments)
