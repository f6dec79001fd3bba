"""Workspaces by command, beside a running server."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from tests.cli.conftest import Installation, Terminal

from portal.cli.workspaces import to_toml
from portal.settings.workspaces import WorkspaceSettings

EXPORTS = Path(__file__).parents[1] / "fixtures/personas"


def test_list_show_edit_and_delete(shared: Installation) -> None:
    listed = shared.run("workspaces", "list").stdout.splitlines()
    assert listed[0].split("\t")[:3] == ["auto", "-> tiny:latest", "built-in"], listed[0]
    assert any(
        line.startswith("tutor\t") for line in shared.run("workspaces", "list", "--personas").stdout.splitlines()
    )
    shown = shared.run("workspaces", "show", "auto-coding").stdout
    assert shown.startswith("# auto-coding (built-in)\n# now: ")
    fields = tomllib.loads(shown)
    assert fields["instructions"].startswith("You are a careful programmer")

    changed = shown.replace('title = "Coding"', 'title = "Ours"')
    done = shared.run("workspaces", "edit", "auto-coding", "--file", "-", stdin=changed)
    assert (done.returncode, done.stderr.split(";")[0]) == (0, "Saved auto-coding")
    again = shared.run("workspaces", "show", "auto-coding").stdout
    assert tomllib.loads(again) == fields | {"title": "Ours"}
    assert "Reset auto-coding" in shared.run("workspaces", "delete", "auto-coding").stderr
    assert tomllib.loads(shared.run("workspaces", "show", "auto-coding").stdout) == fields

    shared.run("workspaces", "edit", "mine", "--file", "-", stdin='title = "Mine"\nusers = []')
    assert tomllib.loads(shared.run("workspaces", "show", "mine").stdout)["users"] == []
    assert shared.run("workspaces", "delete", "mine").stderr == "Deleted mine.\n"
    assert "There is no workspace 'mine'" in shared.run("workspaces", "show", "mine").stderr


def test_what_is_shown_is_all_there_is_and_comes_back_as_it_was(shared: Installation) -> None:
    """No tools are not all tools, and no bound gets lost between `show` and `edit`."""
    wanted = (
        'tools = []\ncollections = ["Bikes"]\nmax_rounds = 2\nmax_seconds = 90.5\nmax_tokens = 5000\nmemory = false\n'
    )
    shared.run("workspaces", "edit", "bounded", "--file", "-", stdin=wanted)
    shown = shared.run("workspaces", "show", "bounded").stdout
    assert tomllib.loads(wanted).items() <= tomllib.loads(shown).items()
    named = {line.removeprefix("# ").partition(" = ")[0] for line in shown.splitlines() if " = " in line}
    assert named == WorkspaceSettings.model_fields.keys()
    shared.run("workspaces", "edit", "bounded", "--file", "-", stdin=shown)
    assert shared.run("workspaces", "show", "bounded").stdout == shown
    shared.run("workspaces", "delete", "bounded")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("title =", "This is no TOML"), ('colour = "red"', "colour"), ('persona = "nobody"', "no persona 'nobody'")],
)
def test_a_wrong_file_is_refused(shared: Installation, text: str, reason: str) -> None:
    done = shared.run("workspaces", "edit", "mine", "--file", "-", stdin=text)
    assert done.returncode == 1
    assert reason in done.stderr


def test_the_editor_opens_again_after_a_mistake(shared: Installation, tmp_path: Path) -> None:
    """The first time it writes nonsense, the second time a title."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1]); text = file.read_text()\n"
        "file.write_text('strategy = 3' if text.startswith('# mine is new') else 'title = \"Edited\"')\n",
        encoding="utf-8",
    )
    editor = shlex.join([sys.executable, str(script)])
    with Terminal(shared, "workspaces", "edit", "mine", EDITOR=editor) as terminal:
        terminal.until("Edit again?")
        terminal.type("y\r")
        assert terminal.wait() == 0, terminal.seen
    assert "strategy" in terminal.seen
    assert "Saved mine" in terminal.seen
    assert shared.run("workspaces", "edit", "mine", EDITOR="true").returncode == 1
    refused = shared.run("workspaces", "edit", "mine", stdin="n\n", EDITOR="sh -c 'echo nonsense > \"$1\"' -")
    assert (refused.returncode, "Nothing was changed" in refused.stderr) == (1, True)


def test_a_test_says_whether_it_passed(shared: Installation) -> None:
    asked = shared.run("workspaces", "test", "auto", "--prompt", "Hello there")
    assert asked.returncode == 0
    assert asked.stdout.strip()
    assert "> Hello there" in asked.stderr
    plain = shared.run("workspaces", "test")
    assert (plain.returncode, "ok\tauto" in plain.stderr) == (0, True)
    failed = shared.run("workspaces", "test", "auto", "--persona", "translator")
    assert failed.returncode == 1
    assert "FAILED\ttranslator" in failed.stderr
    every = shared.run("workspaces", "test", "--all-personas")
    assert every.returncode == 1
    assert len(every.stdout.splitlines()) >= 15
    assert "failed" in every.stderr


def test_files_of_other_programs(shared: Installation) -> None:
    file = str(EXPORTS / "librechat.yaml")
    planned = shared.run("workspaces", "import", "--dry-run", file)
    assert "night-shift\tNight shift\n" in planned.stdout
    assert "-\tAn agent\n" in planned.stdout
    assert "night-shift" not in shared.run("workspaces", "list").stdout
    assert shared.run("workspaces", "import", file).stdout == planned.stdout
    assert "night-shift\t" in shared.run("workspaces", "list").stdout
    nothing = shared.run("workspaces", "import", "-", stdin='[{"title": "x", "endpoint": "agents", "agent_id": "a"}]')
    assert "Nothing could be taken over" in nothing.stderr


@pytest.mark.parametrize(
    "text", ["one", "two\nlines", "a '''quote'''\nhere", "ends with '\n'", "tab\t\nand \x01", "\n first"]
)
def test_toml_holds_any_text(text: str) -> None:
    one = {
        "instructions": text,
        "prefer": ["a", "b"],
        "parameters": {"temperature": 0.5, "stop": ["\x7f"]},
        "memory": False,
    }
    assert tomllib.loads(to_toml(one)) == one
