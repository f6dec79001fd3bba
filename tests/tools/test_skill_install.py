"""Skills out of folders, archives and git repositories, also of people who mean harm."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from portal.errors import ToolError
from portal.tools.skill import read_skill
from portal.tools.skill_install import arrived, install, remove, skills_in

EXAMPLE = Path(__file__).parents[1] / "fixtures/skills/tide-tables"
FILES = ["SKILL.md", "assets/wave.pbm", "references/harbours.md", "scripts/say.sh", "scripts/table.py",
         "scripts/tides.py"]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data/skills"


def zipped(tmp_path: Path) -> str:
    return shutil.make_archive(str(tmp_path / "packed"), "zip", EXAMPLE.parent)


def tarred(tmp_path: Path) -> str:
    return shutil.make_archive(str(tmp_path / "packed"), "gztar", EXAMPLE.parent)


def repository(tmp_path: Path) -> str:
    """One whose hooks and settings would leave a mark if git ran them."""
    place = tmp_path / "repository"
    shutil.copytree(EXAMPLE, place / "skills/tide-tables")
    (place / ".gitattributes").write_text("* filter=evil\n")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message=a skill"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    hook = place / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    return f"file://{place}"


def folder(tmp_path: Path) -> str:
    return str(EXAMPLE)


@pytest.mark.parametrize("source", [folder, zipped, tarred, repository])
async def test_a_skill_arrives_is_looked_at_and_installed(tmp_path: Path, home: Path, source: object) -> None:
    assert callable(source)
    async with arrived(source(tmp_path)) as found:
        (skill,) = found
        assert [file.path for file in skill.files()] == FILES
        assert [file.path for file in skill.files() if file.script] == FILES[3:]
        assert not home.exists()
        install(skill, home)

    put = read_skill(home / "tide-tables")
    assert [file.path for file in put.files()] == FILES
    assert (home / "tide-tables/scripts/table.py").read_bytes() == (EXAMPLE / "scripts/table.py").read_bytes()
    assert [one.name for one in home.iterdir()] == ["tide-tables"]
    assert not (tmp_path / "ran").exists()


def test_a_newer_one_takes_the_place_of_the_old(tmp_path: Path, home: Path) -> None:
    install(read_skill(EXAMPLE), home)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "SKILL.md").write_text("---\nname: tide-tables\ndescription: Newer.\n---\n")

    install(read_skill(newer), home)

    put = read_skill(home / "tide-tables")
    assert (put.description, [file.path for file in put.files()]) == ("Newer.", ["SKILL.md"])
    assert [one.name for one in home.iterdir()] == ["tide-tables"]
    remove(put)
    assert list(home.iterdir()) == []
    with pytest.raises(ToolError, match="cannot be removed"):
        remove(put)


async def test_archives_that_mean_harm(tmp_path: Path, home: Path) -> None:
    head = b"---\nname: sly\ndescription: Harmless.\n---\n"
    slip, bomb = tmp_path / "slip.tar", tmp_path / "bomb.zip"
    with tarfile.open(slip, "w") as tar:
        for name, data in (("sly/SKILL.md", head), ("../evil", b"x"), ("/tmp/evil-skill", b"x"), ("sly/.git/h", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("sly/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("SKILL.md", head)
        packed.writestr("zeros", bytes(21 * 2**20))

    async with arrived(str(slip)) as (skill,):
        install(skill, home)
        assert not list(skill.folder.parent.parent.glob("evil"))
    assert [one.name for one in (home / "sly").rglob("*")] == ["SKILL.md"]
    assert not Path("/tmp/evil-skill").exists()
    with pytest.raises(ToolError, match="unpacks to more than"):
        async with arrived(str(bomb)):
            pass


async def test_sources_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("x")
    for name in ("a", "b"):
        shutil.copytree(EXAMPLE, tmp_path / "twins" / name)
    large = tmp_path / "large"
    shutil.copytree(EXAMPLE, large)
    (large / "assets/zeros").write_bytes(bytes(20 * 2**20))

    for source, said in {
        "empty": "no skill in it", "text": "cannot be read", "none": "neither a folder", "twins": "same name",
        "large": "larger than 20 MB",
    }.items():  # fmt: skip
        with pytest.raises(ToolError, match=said):
            async with arrived(str(tmp_path / source)):
                pass
    with pytest.raises(ToolError, match="git clone"):
        async with arrived(f"file://{tmp_path}/none"):
            pass


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ToolError, match="cannot be installed"):
        install(read_skill(EXAMPLE), tmp_path / "home")

    place = tmp_path / "source/tide-tables"
    shutil.copytree(EXAMPLE, place)
    (tmp_path / "ok").mkdir()
    (skill,) = skills_in(place)
    shutil.rmtree(place / "scripts")
    install(skill, tmp_path / "ok")
    assert [one.name for one in (tmp_path / "ok").iterdir()] == ["tide-tables"]
