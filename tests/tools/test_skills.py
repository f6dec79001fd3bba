"""Skills as a model meets them: listed in a line, loaded when wanted, their scripts run in the sandbox."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.core.toolbox import Toolbox
from portal.core.tools import ToolResult, ToolSpec
from portal.core.workspaces import Workspace
from portal.errors import ToolError
from portal.settings import Settings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.tool_calls import call, tool_context
from portal.tools.folders import granted
from portal.tools.skill import Shelf, read_skill
from portal.tools.skills import SkillTools

EXAMPLE = Path(__file__).parents[1] / "fixtures/skills/tide-tables"
HEAD = "---\nname: {name}\ndescription: {description}\n---\nDo it well.\n"


def made(folder: Path, name: str, description: str = "Helps.", **files: str) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "SKILL.md").write_text(HEAD.format(name=name, description=description))
    for path, text in files.items():
        (place / path).write_text(text)
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data/skills"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data/conv_1"


def family(tmp_path: Path, *, refusal: str = "", **skills: Any) -> tuple[SkillTools, PlainSandbox]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", skills=skills)
    sandbox = PlainSandbox(unsafe=True, refusal=refusal)
    return SkillTools(Shelf(settings), sandbox, settings.tools, granted(settings)), sandbox


def offered(tools: SkillTools) -> dict[str, ToolSpec]:
    return {spec.name: spec for spec in tools.tools()}


async def refused(tools: SkillTools, tool: str, folder: Path, **arguments: object) -> str:
    with pytest.raises(ToolError) as caught:
        await tools.call(tool, arguments, tool_context(folder))
    return caught.value.message


def test_nothing_is_offered_without_skills_and_all_at_once_after_an_install(tmp_path: Path, home: Path) -> None:
    tools, _ = family(tmp_path)
    assert tools.tools() == []

    shutil.copytree(EXAMPLE, home / "tide-tables")

    found = offered(tools)
    assert [*found] == ["use_skill", "read_skill_file", "run_skill_script"]
    assert found["use_skill"].description.endswith(
        "Skills:\n- tide-tables: Make tables of high and low tide for a place. "
        "Use it when somebody asks about tides, springs or neaps."
    )
    assert found["run_skill_script"].risk == "execute"
    shutil.rmtree(home / "tide-tables")
    assert tools.tools() == []


def test_running_is_offered_only_where_it_can_be_done(tmp_path: Path, home: Path) -> None:
    tools, _ = family(tmp_path)
    made(home, "words")
    assert [*offered(tools)] == ["use_skill", "read_skill_file"]
    shutil.copytree(EXAMPLE, home / "tide-tables")
    assert "run_skill_script" in offered(tools)
    assert "run_skill_script" not in offered(family(tmp_path, refusal="install bubblewrap")[0])


async def test_many_skills_are_listed_within_bounds_and_found(tmp_path: Path, home: Path, folder: Path) -> None:
    for number in range(40):
        made(home, f"skill-{number:02}", description="Helps with plain things. " * 20)
    made(home, "zebra-stripes", description="Paints stripes on zebras.")
    tools, _ = family(tmp_path)

    described = offered(tools)["use_skill"].description
    assert 1200 < len(described) < 1700
    assert max(map(len, described.splitlines())) <= 200
    assert "zebra" not in described
    result = await call(tools, "find_skill", folder, query="paint a zebra")
    assert result.text.startswith("zebra-stripes: Paints")
    assert (await call(tools, "find_skill", folder, query="xyzzy")).text == "No skill fits that."
    assert offered(tools)["find_skill"].untrusted


async def test_a_skill_is_loaded_and_its_files_are_read(tmp_path: Path, home: Path, folder: Path) -> None:
    shutil.copytree(EXAMPLE, home / "tide-tables")
    tools, _ = family(tmp_path)

    loaded = await call(tools, "use_skill", folder, name="tide-tables")
    read = await call(tools, "read_skill_file", folder, name="tide-tables", path="references/harbours.md")

    assert loaded.text.startswith("# Tide tables")
    assert "- scripts/table.py (" in loaded.text
    assert "| Dover | 4.3 |" in read.text
    assert (loaded.untrusted, read.untrusted) == (True, True)
    trusting, _ = family(tmp_path, trusted=["tide-tables"])
    assert not (await call(trusting, "use_skill", folder, name="tide-tables")).untrusted
    (home / "tide-tables/SKILL.md").write_text(HEAD.format(name="tide-tables", description="New."))
    assert "Do it well." in (await call(tools, "use_skill", folder, name="tide-tables")).text


async def test_nothing_beside_the_skill_is_read(tmp_path: Path, home: Path, folder: Path) -> None:
    place = made(home, "sly", **{"large.txt": "x" * (2**21 + 1), "pixels.bin": "\0\1\2"})
    (home / "secret").write_text("secret")
    (place / "link").symlink_to(home / "secret")
    (place / "way").symlink_to(home)
    (place / "run.sh").symlink_to(home / "secret")
    tools, sandbox = family(tmp_path)

    for path in ("../secret", "/etc/passwd", "a/../../secret", "\0"):
        assert "not in the skill" in await refused(tools, "read_skill_file", folder, name="sly", path=path)
    for path in ("link", "way/secret", "none"):
        assert "cannot be read" in await refused(tools, "read_skill_file", folder, name="sly", path=path)
    assert "larger than" in await refused(tools, "read_skill_file", folder, name="sly", path="large.txt")
    assert "not a text" in await refused(tools, "read_skill_file", folder, name="sly", path="pixels.bin")
    assert "secret" not in (await call(tools, "use_skill", folder, name="sly")).text
    assert "no script" in await refused(tools, "run_skill_script", folder, name="sly", path="run.sh")
    assert "Like it: sly" in await refused(tools, "use_skill", folder, name="slly")
    assert await refused(tools, "use_skill", folder, name="q") == "There is no skill 'q'."
    assert sandbox.jobs == []


async def test_scripts_run_in_the_conversations_folder(tmp_path: Path, home: Path, folder: Path) -> None:
    shutil.copytree(EXAMPLE, home / "tide-tables")
    tools, sandbox = family(tmp_path)
    run: dict[str, Any] = {"name": "tide-tables", "path": "scripts/table.py"}

    done: ToolResult = await call(tools, "run_skill_script", folder, **run, arguments=["4.3"])
    said = await call(tools, "run_skill_script", folder, **{**run, "path": "scripts/say.sh"}, arguments=["high water"])

    assert done.text == "5 rows\n[files written: tides.csv]\n[exit code 0]"
    assert [file.name for file in done.files] == ["tides.csv"]
    assert done.untrusted
    assert said.text == "tide: high water\n[exit code 0]"
    assert home / "tide-tables" in sandbox.jobs[0].readable
    assert sandbox.jobs[0].folder == folder
    assert not sandbox.jobs[0].network
    assert not (home / "tide-tables/scripts/__pycache__").exists()
    wrong = await tools.call("run_skill_script", {**run, "arguments": ["x"]}, tool_context(folder))
    assert wrong.failed
    assert "cannot be run" in await refused(tools, "run_skill_script", folder, name="tide-tables", path="SKILL.md")


async def test_a_script_whose_program_is_absent(
    tmp_path: Path, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(home, "nodding", **{"a.js": "1"})
    tools, _ = family(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "needs node" in await refused(tools, "run_skill_script", folder, name="nodding", path="a.js")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("name: x\ndescription: y", "between two lines of ---"),
        ("---\n" + "name: x\n" * 10_000 + "---\n", "between two lines"),
        ("---\nname: x\n---\n", "no description"),
        ("---\nname: Bad Name\ndescription: y\n---\n", "'Bad Name' is not one"),
        ("---\nname: ../up\ndescription: y\n---\n", "is not one"),
        ("---\nname: a--b\ndescription: y\n---\n", "is not one"),
        (f"---\nname: {'a' * 65}\ndescription: y\n---\n", "is not one"),
        ("---\n- a\n---\n", "not YAML"),
        ("---\nname: [\n---\n", "not YAML"),
        ("---\nname: &a x\ndescription: *a\n---\n", "references"),
        ("x" * (2**20 + 1), "larger than"),
    ],
)
def test_what_is_no_skill(tmp_path: Path, head: str, said: str) -> None:
    (tmp_path / "SKILL.md").write_text(head)

    with pytest.raises(ToolError, match=said):
        read_skill(tmp_path)


def test_a_head_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_bytes(
        b"\xef\xbb\xbf---\r\nname: x\r\ndescription: Use when: \x1b[31mred\r\nallowed-tools: [Read, Write]\r\n"
        b"license:\r\nmetadata:\r\n  n: 1\r\n---\r\nBody\r\n"
    )

    skill = read_skill(tmp_path)

    assert (skill.description, skill.allowed_tools, skill.licence) == ("Use when: [31mred", "Read Write", "")
    assert (skill.metadata, skill.body) == ({"n": "1"}, "Body")


def test_folders_of_the_settings_and_those_that_are_no_skills(tmp_path: Path, home: Path) -> None:
    mine = tmp_path / "mine"
    made(home, "twice", description="Installed.")
    made(mine, "twice", description="Mine.")
    made(mine, "other")
    made(mine, "elsewhere").rename(mine / "renamed")
    crowd = made(mine, "crowd")
    for number in range(1001):
        (crowd / f"{number}.txt").touch()
    (mine / "linked").symlink_to(EXAMPLE)
    (mine / ".hidden").mkdir()
    (mine / "empty").mkdir()
    (mine / "pipe").mkdir()
    os.mkfifo(mine / "pipe/SKILL.md")
    (mine / "hollow").mkdir()
    (mine / "hollow/SKILL.md").symlink_to("nowhere")
    shelf = Shelf(Settings(_env_file=None, data_dir=tmp_path / "data", skills={"folders": [mine, tmp_path / "none"]}))

    assert {name: skill.description for name, skill in shelf.skills().items()} == {
        "other": "Helps.",
        "twice": "Installed.",
    }
    assert shelf.installed(shelf.skills()["twice"])
    assert not shelf.installed(shelf.skills()["other"])
    assert [why.split(":")[0].split()[0] for why in shelf.broken()] == ["The", "hollow", "SKILL.md", "renamed"]
    tools, _ = family(tmp_path, folders=[mine])
    assert "renamed: it is named elsewhere" in tools.detail


def test_a_yes_to_scripts_ends_when_skills_come_and_go(tmp_path: Path, home: Path) -> None:
    tools, _ = family(tmp_path)
    made(home, "one", **{"run.sh": "echo 1"})
    first = offered(tools)["run_skill_script"].since
    made(home, "two", **{"run.sh": "echo 2"})
    second = offered(tools)["run_skill_script"].since
    shutil.rmtree(home / "two")

    assert 0 < first < second < offered(tools)["run_skill_script"].since
    assert offered(tools)["use_skill"].since == 0


async def test_a_workspace_has_the_skills_that_it_names(tmp_path: Path, home: Path, folder: Path) -> None:
    tools, _ = family(tmp_path)
    for name in ("tide-tables", "tide-charts", "invoices"):
        made(home, name)
    toolbox = Toolbox(toolsets=lambda: [tools])

    whole = await toolbox.offer(Workspace(name="w"), "Help me")
    some = await toolbox.offer(Workspace(name="w", tools=("*", "skills/tide-*")), "Help me")
    alone = await toolbox.offer(Workspace(name="w", tools=("skills/invoices",)), "Help me")
    none = await toolbox.offer(Workspace(name="w", tools=("files",)), "Help me")

    assert whole is not None
    assert some is not None
    assert alone is not None
    assert none is None
    listed = {one: offer.parameters({})["tools"] for one, offer in (("whole", whole), ("some", some), ("alone", alone))}
    assert {one: "invoices" in str(told) for one, told in listed.items()} == {
        "whole": True,
        "some": False,
        "alone": True,
    }
    assert "tide-tables" not in str(listed["alone"])
    assert (whole.parts("skills"), some.parts("skills"), some.parts("files")) == (("*",), ["tide-*"], ("*",))
    context = replace(tool_context(folder), parts=some.parts("skills"))
    with pytest.raises(ToolError, match="There is no skill 'invoices'"):
        await tools.call("use_skill", {"name": "invoices"}, context)
    assert "Do it well." in (await tools.call("use_skill", {"name": "tide-charts"}, context)).text
    assert "invoices" not in (await tools.call("find_skill", {"query": "invoices"}, context)).text
