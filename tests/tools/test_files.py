import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from portal.core.tools import ToolResult
from portal.errors import ToolError
from portal.testing.tool_calls import call, tool_context
from portal.tools.file_search import matches
from portal.tools.files import FileTools
from portal.tools.folders import Folders
from portal.tools.function import Functions

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50

Call = Callable[..., Coroutine[Any, Any, ToolResult]]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The conversation's folder, which nobody made yet."""
    return tmp_path / "data" / "conversations" / "conv_1"


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    folder = tmp_path / "granted"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path, mine: Path, granted: Path) -> Call:
    tools = FileTools(Folders(folders=[granted], hidden=tmp_path / "data"))
    names = "list_folder read_file search_files write_file edit_file move_file copy_file delete_file"
    family = Functions("files", [getattr(tools, name) for name in names.split()])

    async def run(tool: str, **arguments: object) -> ToolResult:
        return await call(family, tool, mine, **arguments)

    return run


async def refused(run: Call, tool: str, **arguments: object) -> str:
    with pytest.raises(ToolError) as caught:
        await run(tool, **arguments)
    return caught.value.message


async def test_a_file_is_written_read_and_handed_over(run: Call, mine: Path) -> None:
    written = await run("write_file", path="notes/list.md", text="milk\nbread\n")

    assert (mine / "notes/list.md").read_text() == "milk\nbread\n"
    assert [(file.name, file.content_type, file.data) for file in written.files] == [
        ("list.md", "text/markdown", b"milk\nbread\n")
    ]
    assert (await run("read_file", path="notes/list.md")).text == "milk\nbread\n"


async def test_a_file_in_a_granted_folder_stays_there(run: Call, granted: Path) -> None:
    written = await run("write_file", path=str(granted / "a.txt"), text="x")

    assert (granted / "a.txt").read_text() == "x"
    assert not written.files
    assert str(granted / "a.txt") in written.text


async def test_nothing_is_overwritten_by_chance(run: Call, granted: Path) -> None:
    path = granted / "run.sh"
    path.write_text("old")
    path.chmod(0o755)

    assert "overwrite" in await refused(run, "write_file", path=str(path), text="new")
    await run("write_file", path=str(path), text="new", overwrite=True)

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o755
    assert sorted(os.listdir(granted)) == ["run.sh"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret", "../conv_2/file", "/", "~/x/../../../../etc/passwd"])
async def test_paths_outside_are_refused(run: Call, path: str) -> None:
    assert "not in a folder that tools may use" in await refused(run, "read_file", path=path)


async def test_portals_own_folder_is_closed_even_inside_a_granted_one(tmp_path: Path, mine: Path) -> None:
    tools = FileTools(Folders(folders=[tmp_path], hidden=tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/owner.key").write_text("secret")
    family = Functions("files", [tools.read_file, tools.write_file])

    with pytest.raises(ToolError, match="closed"):
        await call(family, "read_file", mine, path=str(tmp_path / "data/owner.key"))
    with pytest.raises(ToolError, match="closed"):
        await call(family, "write_file", mine, path=str(tmp_path / "data/tools/evil.py"), text="x")
    assert (await call(family, "write_file", mine, path="fine.txt", text="x")).text.startswith("Wrote fine.txt")


async def test_links_are_refused_for_reading_and_writing(run: Call, granted: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (granted / "file").symlink_to(tmp_path / "outside/secret")
    (granted / "folder").symlink_to(tmp_path / "outside")
    (granted / "dangling").symlink_to(tmp_path / "outside/new")
    (granted / "inner").mkdir()
    (granted / "sideways").symlink_to(granted / "inner")

    for path in ("file", "folder/secret", "dangling", "sideways/x"):
        assert "through a link" in await refused(run, "read_file", path=str(granted / path))
        assert "through a link" in await refused(run, "write_file", path=str(granted / path), text="x", overwrite=True)
    assert "through a link" in await refused(run, "copy_file", source=str(granted / "folder"), target="mine")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_a_folder_swapped_for_a_link_after_the_check_is_not_followed(tmp_path: Path, granted: Path) -> None:
    (granted / "inner").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    places = Folders(folders=[granted], hidden=tmp_path / "data")
    place = places.at(str(granted / "inner/file"), tool_context(tmp_path / "data/conv"))

    (granted / "inner").rmdir()
    (granted / "inner").symlink_to(tmp_path / "outside")

    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        place.read()
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        place.write(b"x")
    assert (tmp_path / "outside/file").read_text() == "secret"


def test_a_granted_folder_that_is_a_link_itself_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    places = Folders(folders=[tmp_path / "link"], hidden=tmp_path / "data")

    place = places.at(str(tmp_path / "link/a"), tool_context(tmp_path / "data/conv"))
    place.write(b"x")

    assert (tmp_path / "real/a").read_bytes() == b"x"
    assert places.at(str(tmp_path / "real/a"), tool_context(tmp_path / "data/conv")) == place
    assert places.readable() == [tmp_path / "real"]


def test_a_granted_folder_at_home(tmp_path: Path) -> None:
    assert Folders(folders=[Path("~/notes")], hidden=tmp_path).granted == [Path.home() / "notes"]


def test_a_folder_around_portals_own_is_not_shown_to_programs(tmp_path: Path, granted: Path) -> None:
    places = Folders(folders=[tmp_path, granted, tmp_path / "absent"], hidden=tmp_path / "data")

    assert places.readable() == [granted]


def test_a_failed_write_leaves_nothing(tmp_path: Path, granted: Path) -> None:
    (granted / "folder").mkdir()
    place = Folders(folders=[granted], hidden=tmp_path / "data").at(
        str(granted / "folder"), tool_context(tmp_path / "data/conv")
    )

    with pytest.raises(IsADirectoryError):
        place.write(b"x")
    assert os.listdir(granted) == ["folder"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("absent.txt", "no such file"),
        (".", "list_folder"),
        ("a.txt/b", "not a folder"),
        ("nul\0l", "zero byte"),
        ("n" * 300, "File name too long"),
        ("socket", "did not work|neither"),
    ],
)
async def test_odd_paths_are_explained(run: Call, mine: Path, path: str, words: str) -> None:
    mine.mkdir(parents=True)
    (mine / "a.txt").write_text("a")
    here = os.getcwd()
    os.chdir(mine)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    os.chdir(here)

    with pytest.raises(ToolError, match=words):
        await run("read_file", path=path)


async def test_a_pipe_does_not_hang(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    os.mkfifo(mine / "pipe")

    assert "neither a file nor a folder" in await refused(run, "read_file", path="pipe")


async def test_lines_of_a_long_file(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "log").write_text("".join(f"{number}\n" for number in range(1, 2001)))

    assert (await run("read_file", path="log")).text.startswith("[lines 1-500 of log, more follow]\n1\n2\n")
    assert (await run("read_file", path="log", first=10, lines=2)).text == "[lines 10-11 of log, more follow]\n10\n11\n"
    assert (await run("read_file", path="log", first=1999)).text == "[lines 1999-2000 of log, its end]\n1999\n2000\n"
    assert (await run("read_file", path="log", first=-2)).text == "[the last lines of log]\n1999\n2000\n"
    assert "fewer than 3000" in (await run("read_file", path="log", first=3000)).text


async def test_a_flood_of_lines_is_cut(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "log").write_text("x" * 6_000_000)

    assert 2_000_000 < len((await run("read_file", path="log", lines=10**9)).text) < 2_200_000
    assert 2_000_000 < len((await run("read_file", path="log", first=-(10**9), lines=10**9)).text) < 2_200_000


async def test_an_empty_file_says_so(run: Call) -> None:
    await run("write_file", path="empty", text="")

    assert (await run("read_file", path="empty")).text == "[empty is empty]"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
async def test_encodings_are_recognised_and_kept(run: Call, mine: Path, encoding: str) -> None:
    mine.mkdir(parents=True)
    text = "Grüße aus Köln\r\nzweite Zeile\r\n"
    (mine / "a.txt").write_bytes(text.encode(encoding))

    read = await run("read_file", path="a.txt")
    await run("edit_file", path="a.txt", old="Köln\nzweite", new="Bonn\ndritte")

    assert read.text == text.replace("\r\n", "\n")
    assert (mine / "a.txt").read_bytes() == text.replace("Köln", "Bonn").replace("zweite", "dritte").encode(encoding)


@pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\0\0\0", b"\x80\x81\x01\x02\xff", b"\0" * 100, bytes(range(256))])
async def test_what_is_not_text_is_refused(run: Call, mine: Path, data: bytes) -> None:
    mine.mkdir(parents=True)
    (mine / "program.pdf").write_bytes(data)

    assert "program.pdf is not text but application/pdf" in await refused(run, "read_file", path="program.pdf")
    assert "can be edited" in await refused(run, "edit_file", path="program.pdf", old="a", new="b")


async def test_damaged_text_is_read_but_not_edited(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "a.txt").write_bytes(b"good\n" * 20_000 + b"\xff\xfe bad\n")

    assert "\ufffd" in (await run("read_file", path="a.txt", first=-1)).text
    assert "can be edited" in await refused(run, "edit_file", path="a.txt", old="good", new="b", all=True)


async def test_a_character_that_the_encoding_lacks(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "a.txt").write_bytes("Grüße".encode("cp1252"))

    assert "cp1252, which has no '→'" in await refused(run, "edit_file", path="a.txt", old="G", new="→")


async def test_a_picture_is_shown(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "a.png").write_bytes(PNG)
    os.truncate(_touch(mine / "large.png"), 21 * 2**20)

    shown = await run("read_file", path="a.png")

    assert [(file.name, file.content_type, file.data) for file in shown.files] == [("a.png", "image/png", PNG)]
    assert "larger than" in await refused(run, "read_file", path="large.png")


def _touch(path: Path) -> Path:
    path.touch()
    return path


async def test_an_edit_says_what_it_did(run: Call, granted: Path) -> None:
    (granted / "a.py").write_text("one\ntwo\nthree\n")

    edited = await run("edit_file", path=str(granted / "a.py"), old="two", new="2")

    assert (granted / "a.py").read_text() == "one\n2\nthree\n"
    assert "-two\n+2" in edited.text


async def test_an_edit_must_be_exact_and_unique(run: Call, mine: Path) -> None:
    await run("write_file", path="a.py", text="def one():\n    pass\n\ndef two():\n    pass\n")

    assert "Most alike is line 1: 'def one():'" in await refused(
        run, "edit_file", path="a.py", old="def onn():", new=""
    )
    assert "2 times (line 2, line 5)" in await refused(run, "edit_file", path="a.py", old="pass", new="return")
    assert await refused(run, "edit_file", path="a.py", old="zzz", new="") == "The old text is not in the file."
    assert "write_file" in await refused(run, "edit_file", path="a.py", old="", new="x")
    assert "stays as it is" in (await run("edit_file", path="a.py", old="one", new="one")).text

    await run("edit_file", path="a.py", old="pass", new="return", all=True)
    assert (mine / "a.py").read_text().count("return") == 2


async def test_a_file_too_large_to_edit(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    os.truncate(_touch(mine / "large"), 21 * 2**20)

    assert "larger than" in await refused(run, "edit_file", path="large", old="a", new="b")


async def test_folders_are_listed(run: Call, mine: Path, granted: Path) -> None:
    assert f"Other folders you may use: {granted}" in (await run("list_folder")).text
    assert (await run("list_folder", path=str(granted))).text == "The folder is empty."
    await run("write_file", path="a/b/c.txt", text="x" * 2000)
    (mine / "link").symlink_to("/etc")

    flat, deep = (await run("list_folder")).text, (await run("list_folder", depth=3)).text

    assert flat.startswith("a/\nlink (link)\n")
    assert "a/b/c.txt  2.0 kB  20" in deep
    assert "passwd" not in deep
    assert "not a folder" in await refused(run, "list_folder", path="a/b/c.txt")


async def test_a_large_folder_is_listed_in_part(run: Call, mine: Path) -> None:
    mine.mkdir(parents=True)
    for number in range(250):
        (mine / f"{number}.txt").touch()

    assert (await run("list_folder")).text.count("\n") == 201
    assert "more than 200 entries" in (await run("list_folder")).text


@pytest.fixture
def project(granted: Path) -> Path:
    files = {
        ".gitignore": "# built\nbuild/\n*.log\n!keep.log\n/only-here\n\\#odd\ndocs/**/draft\n",
        "a.py": "import os\nprint('Hello')\n",
        "src/b.py": "HELLO = 1\n",
        "src/.gitignore": "secret.txt\n!special.log\n",
        "src/secret.txt": "hello",
        "src/special.log": "hello",
        "src/only-here": "hello",
        "only-here": "hello",
        "#odd": "hello",
        "keep.log": "hello",
        "x.log": "hello",
        "build/out.txt": "hello",
        "docs/a/b/draft": "hello",
        ".git/HEAD": "hello",
        "picture.bin": "hello\0hello",
    }
    for name, text in files.items():
        (granted / name).parent.mkdir(parents=True, exist_ok=True)
        (granted / name).write_text(text)
    (granted / "link.py").symlink_to(granted / "a.py")
    return granted


async def test_search_respects_gitignore(run: Call, project: Path) -> None:
    found = (await run("search_files", path=str(project), text="hello")).text.splitlines()

    names = [line.removeprefix(f"{project}/").split(": ")[0] for line in found]
    assert names == ["a.py:2", "keep.log:1", "src/b.py:1", "src/only-here:1", "src/special.log:1"]


async def test_search_below_a_folder_that_is_left_out(run: Call, project: Path) -> None:
    assert (await run("search_files", path=str(project / "build"))).text == str(project / "build/out.txt")


async def test_search_by_name(run: Call, project: Path) -> None:
    async def names(pattern: str) -> list[str]:
        text = (await run("search_files", path=str(project), name=pattern)).text
        return [line.removeprefix(f"{project}/") for line in text.splitlines()]

    assert await names("*.PY") == ["a.py", "link.py", "src/b.py"]
    assert await names("src/*.py") == ["src/b.py"]
    assert await names("**/*.py") == ["a.py", "link.py", "src/b.py"]
    assert await names("none*") == ["Nothing found."]


async def test_search_is_bounded(run: Call, mine: Path) -> None:
    await run("write_file", path="a.txt", text="x\n" * 300)

    found = (await run("search_files", text="x", limit=5)).text.splitlines()

    assert found == [
        *(f"a.txt:{number}: x" for number in range(1, 6)),
        "... there is more; search for something narrower.",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_search_passes_over_what_cannot_be_read(run: Call, mine: Path) -> None:
    await run("write_file", path="a.txt", text="x")
    (mine / "closed").mkdir(mode=0)
    _touch(mine / "b.txt").chmod(0)

    assert (await run("search_files", text="x")).text == "a.txt:1: x"


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b/c.py", "**/c.py", True),
        ("c.py", "**/c.py", True),
        ("a/b", "a/**", True),
        ("a/b/c", "a/*", False),
        ("a/b", "./a/b", True),
        ("b", "a/**", False),
        ("a" * 250, "*a" * 60 + "b", False),
        ("/".join("a" * 100), "**/" * 60 + "b", False),
    ],
)
def test_patterns(path: str, pattern: str, fits: bool) -> None:
    assert matches(Path(path), pattern) is fits


async def test_moving_and_copying(run: Call, mine: Path, granted: Path) -> None:
    await run("write_file", path="a/x.txt", text="x")
    (mine / "a/x.txt").chmod(0o640)
    (mine / "a/link").symlink_to("/etc/passwd")

    await run("copy_file", source="a", target=str(granted / "new/copy"))
    await run("move_file", source="a/x.txt", target="b/y.txt")

    assert (granted / "new/copy/x.txt").read_text() == "x"
    assert (granted / "new/copy/x.txt").stat().st_mode & 0o777 == 0o640
    assert not os.path.lexists(granted / "new/copy/link")
    assert (mine / "b/y.txt").read_text() == "x"
    assert not (mine / "a/x.txt").exists()
    await run("copy_file", source="b/y.txt", target="z.txt")
    assert (mine / "z.txt").read_text() == "x"


async def test_moving_replaces_nothing(run: Call, mine: Path, granted: Path) -> None:
    await run("write_file", path="a/x.txt", text="x")
    await run("write_file", path="y.txt", text="y")

    assert "there already" in await refused(run, "move_file", source="a/x.txt", target="y.txt")
    assert "inside" in await refused(run, "move_file", source="a", target="a/b")
    assert "no such file" in await refused(run, "move_file", source="absent", target="b")
    assert "not the whole folder" in await refused(run, "move_file", source=".", target=str(granted / "b"))
    assert (mine / "y.txt").read_text() == "y"


async def test_moving_to_another_file_system(run: Call, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    target = other / f"portal-{os.getpid()}-{tmp_path.name}"
    tools = FileTools(Folders(folders=[other], hidden=tmp_path / "data"))
    family = Functions("files", [tools.write_file, tools.move_file])
    await call(family, "write_file", tmp_path / "conv", path="a.txt", text="x")

    await call(family, "move_file", tmp_path / "conv", source="a.txt", target=str(target))

    assert target.read_text() == "x"
    target.unlink()


async def test_what_is_gits_is_not_touched(run: Call, granted: Path) -> None:
    (granted / "project/.git/hooks").mkdir(parents=True)
    (granted / "project/a.txt").write_text("a")
    hook, config = str(granted / "project/.git/hooks/pre-commit"), str(granted / "project/.git/config")
    Path(config).write_text("[core]")
    await run("write_file", path="x", text="touch evil")

    for told in (
        await refused(run, "write_file", path=hook, text="x"),
        await refused(run, "edit_file", path=config, old="[core]", new="x"),
        await refused(run, "copy_file", source="x", target=hook),
        await refused(run, "move_file", source="x", target=hook),
        await refused(run, "move_file", source=config, target="y"),
        await refused(run, "delete_file", path=config),
    ):
        assert "belongs to git" in told
    await run("copy_file", source=str(granted / "project"), target="copy")
    assert "a.txt" in (await run("list_folder", path="copy")).text
    assert ".git" not in (await run("list_folder", path="copy")).text


async def test_what_is_deleted_can_be_brought_back(run: Call, mine: Path) -> None:
    await run("write_file", path="a/x.txt", text="x")

    kept = (await run("delete_file", path="a")).text.split("kept as ")[1].removesuffix(".")

    assert not (mine / "a").exists()
    assert (mine / ".portal-trash/.gitignore").read_text() == "*\n"
    await run("move_file", source=kept, target="a")
    assert (mine / "a/x.txt").read_text() == "x"


async def test_deleting_from_the_trash_is_for_good(run: Call, mine: Path) -> None:
    for path in ("a/x.txt", "b.txt"):
        await run("write_file", path=path, text="x")
    kept = [
        (await run("delete_file", path=path)).text.split("kept as ")[1].removesuffix(".") for path in ("a", "b.txt")
    ]

    for path in kept:
        assert "for good" in (await run("delete_file", path=path)).text

    assert [path.name for path in (mine / ".portal-trash").iterdir()] == [".gitignore"]
    assert "cannot be deleted" in await refused(run, "delete_file", path=".")
