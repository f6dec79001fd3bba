"""Archives as people send them, and as attackers do."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.tools.archives import Archives
from portal.tools.folders import Folders
from portal.tools.function import Functions


@pytest.fixture
def archives(tmp_path: Path) -> Toolset:
    return family("archives", tmp_path)


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


def small() -> Toolset:
    """The family with room for 1000 bytes."""
    made = Archives(folders=Folders(folders=(), hidden=Path("/nowhere")), most_bytes=1000)
    return Functions("archives", [made.list_archive, made.extract_archive, made.create_archive])


def packed(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)


def tarred(path: Path, *members: tuple[str, bytes, bytes]) -> None:
    """Name, type and content or target."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = data.decode() if kind != tarfile.REGTYPE else ""
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
async def test_what_is_packed_comes_out_again(archives: Toolset, talk: ToolContext, ending: str) -> None:
    (talk.folder / "in/sub").mkdir(parents=True)
    (talk.folder / "in/a.txt").write_text("A")
    (talk.folder / "in/sub/b.txt").write_text("BB")
    (talk.folder / "c.txt").write_text("CCC")
    (talk.folder / "in/link").symlink_to("/etc/passwd")

    made = await call(archives, "create_archive", talk, path=f"x.{ending}", sources=["in", "c.txt"])
    listed = await call(archives, "list_archive", talk, path=f"x.{ending}")
    done = await call(archives, "extract_archive", talk, path=f"x.{ending}", into="out")

    assert "Packed 3 files" in made.text
    assert "3 entries, 6 bytes unpacked" in listed.text
    assert "in/sub/b.txt" in listed.text
    assert done.text == "Unpacked 3 files into out."
    assert (talk.folder / "out/in/sub/b.txt").read_text() == "BB"
    assert not (talk.folder / "out/in/link").exists()


async def test_nothing_leaves_the_folder(archives: Toolset, talk: ToolContext, tmp_path: Path) -> None:
    packed(talk.folder / "slip.zip", **{"../evil": b"x", "/tmp/evil": b"x", "C:\\evil": b"x", "a/../../evil": b"x",
                                        ".git/evil": b"x", "good": b"x", "folder/": b""})  # fmt: skip
    tarred(
        talk.folder / "slip.tar.gz",
        ("way", tarfile.SYMTYPE, str(tmp_path).encode()),
        ("way/evil", tarfile.REGTYPE, b"x"),
        ("hard", tarfile.LNKTYPE, b"/etc/passwd"),
        ("pipe", tarfile.FIFOTYPE, b""),
        ("../../evil", tarfile.REGTYPE, b"x"),
        ("dir", tarfile.DIRTYPE, b""),
    )
    link = zipfile.ZipInfo("way")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(talk.folder / "slip.zip", "a") as file:
        file.writestr(link, "/etc")

    first = await call(archives, "extract_archive", talk, path="slip.zip")
    second = await call(archives, "extract_archive", talk, path="slip.tar.gz", into="two")
    listed = await call(archives, "list_archive", talk, path="slip.tar.gz")

    assert first.text.startswith("Unpacked 1 files into slip. Left out")
    assert second.text.startswith("Unpacked 1 files into two. Left out")
    assert "pipe (special)" in listed.text
    assert (talk.folder / "two/way").is_dir()
    assert not (talk.folder / "two/way").is_symlink()
    assert [path for path in tmp_path.rglob("evil") if "two/way" not in str(path)] == []


async def test_a_link_that_is_there_already_is_not_followed(archives: Toolset, talk: ToolContext) -> None:
    (talk.folder / "out").mkdir()
    (talk.folder / "out/way").symlink_to("/tmp")
    packed(talk.folder / "a.zip", **{"way/evil-of-portal": b"x"})

    assert "through a link" in await refusal(archives, "extract_archive", talk, path="a.zip", into="out")
    assert not Path("/tmp/evil-of-portal").exists()


async def test_bombs_are_stopped(talk: ToolContext) -> None:
    packed(talk.folder / "bomb.zip", a=b"0" * 600, b=b"0" * 600)
    with tarfile.open(talk.folder / "bomb.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 20_000
        tar.addfile(info, io.BytesIO(bytes(20_000)))
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, 300 * 2**20
    with gzip.open(talk.folder / "header.tgz", "wb") as out:
        out.write(head.tobuf() + bytes(1024))

    assert "more than 1,000 bytes" in await refusal(small(), "extract_archive", talk, path="bomb.zip", into="z")
    assert not (talk.folder / "z/b").exists()
    assert "too large to list" in await refusal(small(), "list_archive", talk, path="bomb.tar.gz")
    assert "far too large" in await refusal(small(), "list_archive", talk, path="header.tgz")


async def test_too_many_entries_are_refused(archives: Toolset, talk: ToolContext) -> None:
    packed(talk.folder / "many.zip", **{f"d{number}/": b"" for number in range(10_001)})
    packed(talk.folder / "some.zip", **{f"f{number}": b"" for number in range(300)})

    assert "too large to list" in await refusal(archives, "list_archive", talk, path="many.zip")
    assert "10,000 entries" in await refusal(archives, "extract_archive", talk, path="many.zip")
    assert "and 100 more" in (await call(archives, "list_archive", talk, path="some.zip")).text


async def test_what_cannot_be_read_or_made(archives: Toolset, talk: ToolContext) -> None:
    packed(talk.folder / "good.zip", a=b"content of it")
    data = bytearray((talk.folder / "good.zip").read_bytes())
    data[35:40] = b"xxxxx"
    (talk.folder / "bad.zip").write_bytes(data)
    (talk.folder / "bad.tar.gz").write_bytes(gzip.compress(b"nothing")[:-6])
    (talk.folder / "bad.xz").write_bytes(b"\xfd7zXZ\0 nothing")
    (talk.folder / "text.txt").write_text("no archive")
    (talk.folder / "good").mkdir()
    (talk.folder / "good/a").write_text("mine")

    for name in ("bad.zip", "bad.tar.gz", "bad.xz", "text.txt"):
        assert "cannot be" in await refusal(archives, "extract_archive", talk, path=name, into="bad"), name
    assert "exists already" in await refusal(archives, "extract_archive", talk, path="good.zip")
    assert (talk.folder / "good/a").read_text() == "mine"
    assert "exists already" in await refusal(archives, "create_archive", talk, path="good.zip", sources=["text.txt"])
    assert "at least one" in await refusal(archives, "create_archive", talk, path="n.zip", sources=[])
    assert "must end in" in await refusal(archives, "create_archive", talk, path="n.rar", sources=["text.txt"])
    (talk.folder / "large").write_bytes(bytes(2000))
    assert "too much" in await refusal(small(), "create_archive", talk, path="n.zip", sources=["large"])


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
async def test_a_file_that_cannot_be_read_leaves_no_half_archive(tmp_path: Path, talk: ToolContext) -> None:
    archives = family("archives", tmp_path, tools={"folders": ["/proc/self"]})

    said = await refusal(archives, "create_archive", talk, path="x.zip", sources=[f"/proc/{os.getpid()}/mem"])

    assert "could not be made" in said
    assert not (talk.folder / "x.zip").exists()
