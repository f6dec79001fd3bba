"""Memory by command, beside a running server."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Installation, Terminal


@pytest.fixture
def empty(shared: Installation) -> Iterator[Installation]:
    """Nothing is remembered, and everything is on."""
    shared.run("memory", "forget", "--all", "--yes")
    yield shared
    shared.run("memory", "on")
    shared.run("memory", "on", "--conversations")
    shared.run("memory", "off", "--proposals")
    shared.run("memory", "forget", "--all", "--yes")


def listed(installation: Installation, *words: str) -> list[list[str]]:
    done = installation.run("memory", *(words or ("list",)))
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_adding_looking_editing_and_forgetting(empty: Installation) -> None:
    first = empty.run("memory", "add", "I", "live", "in", "Berlin").stderr
    assert first.startswith("Remembered: mem_")
    assert "Known already" in empty.run("memory", "add", "I live in berlin").stderr
    assert ", in place of 1" in empty.run("memory", "add", "I live in Paris").stderr
    empty.run("memory", "add", "I prefer tea", "--scope", "workspace:auto", "--kind", "fact")
    (tea, paris) = listed(empty)
    assert tea[2:] == ["fact", "workspace:auto", "I prefer tea"]
    assert listed(empty, "list", "--kind", "fact", "--scope", "workspace:auto") == [tea]
    assert listed(empty, "list", "--status", "superseded")[0][4] == "I live in Berlin"
    assert listed(empty, "search", "where", "live")[0] == paris
    assert "Changed" in empty.run("memory", "edit", paris[0][-12:], "I", "live", "in", "Lyon").stderr
    shown = empty.run("memory", "show", paris[0]).stdout
    assert "I live in Lyon" in shown
    assert ": I live in Paris" in shown
    assert ": I live in Berlin" in shown
    assert "said in no conversation" in shown
    assert "Forgotten: 2" in empty.run("memory", "forget", paris[0], tea[0][-12:]).stderr
    assert listed(empty) == []


def test_what_cannot_be(empty: Installation) -> None:
    for words, reason in (
        (("show", "zzz"), "No memories are named 'zzz'"),
        (("show", "mem_none"), "no memory"),
        (("forget",), "say --all"),
        (("forget", "--all", "x"), "say --all"),
        (("forget", "--all"), "say --yes"),
        (("add", " "), "needs a text"),
        (("add", "x", "--scope", "y"), "scope"),
    ):
        done = empty.run("memory", *words)
        assert done.returncode != 0
        assert reason in done.stderr, done.stderr


def test_everything_is_forgotten_only_after_a_yes(empty: Installation) -> None:
    empty.run("memory", "add", "I like tea")
    with Terminal(empty, "memory", "forget", "--all") as terminal:
        terminal.until("Go on?")
        terminal.type("n\n")
        terminal.until("Nothing was forgotten")
    assert len(listed(empty)) == 1
    with Terminal(empty, "memory", "forget", "--all") as terminal:
        terminal.until("Go on?")
        terminal.type("y\n")
        terminal.until("Forgotten: 1")


def test_the_editor(empty: Installation, tmp_path: Path) -> None:
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys, pathlib\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('tee', 'tea'))\n",
        encoding="utf-8",
    )
    editor = shlex.join([sys.executable, str(script)])
    empty.run("memory", "add", "I like tee")
    ((identity, *_),) = listed(empty)
    assert empty.run("memory", "edit", identity, EDITOR=editor, VISUAL=editor).returncode == 0
    assert listed(empty)[0][4] == "I like tea"
    again = empty.run("memory", "edit", identity, EDITOR=editor, VISUAL=editor)
    assert "Nothing was changed" in again.stderr


def test_merging_and_proposals(empty: Installation, tmp_path: Path) -> None:
    file = tmp_path / "memories.json"
    rows = [{"text": text, "status": "proposed"} for text in ("I like rain", "I like snow")]
    file.write_text(json.dumps(rows), encoding="utf-8")
    assert empty.run("memory", "import", str(file), "--dry-run").stdout == "-\tI like rain\n-\tI like snow\n"
    assert empty.run("memory", "import", str(file)).stdout == "new\tI like rain\nnew\tI like snow\n"
    assert empty.run("memory", "import", str(file)).stdout.startswith("known\t")
    snow, rain = listed(empty, "list", "--status", "proposed")
    assert "I like rain" in empty.run("memory", "accept", rain[0]).stdout
    assert empty.run("memory", "reject", snow[0]).stderr == "Dropped.\n"
    empty.run("memory", "add", "I like wind")
    (wind, rain) = listed(empty)
    merged = empty.run("memory", "merge", wind[0], rain[0], "--text", "I like weather").stdout
    assert merged.endswith("I like weather\n")
    assert len(listed(empty)) == 1


def test_taking_memories_elsewhere(empty: Installation, tmp_path: Path) -> None:
    for text in ("I like tea", "I like cake"):
        empty.run("memory", "add", text)
    exported = empty.run("memory", "export").stdout
    assert len(json.loads(exported)["memories"]) == 2
    file = tmp_path / "memories.json"
    file.write_text(exported, encoding="utf-8")
    empty.run("memory", "forget", "--all", "--yes")
    assert empty.run("memory", "import", str(file)).returncode == 0
    assert {row[4] for row in listed(empty)} == {"I like tea", "I like cake"}


def test_on_and_off(empty: Installation) -> None:
    assert empty.run("memory", "off").stdout == "enabled: off, propose: off, conversations: on\n"
    assert "Memory is off" in empty.run("memory", "add", "I like tea").stderr
    assert "memory on" in empty.run("memory", "list").stderr
    assert empty.run("memory", "on").stdout.startswith("enabled: on")
    assert "propose: on" in empty.run("memory", "on", "--proposals").stdout
    assert "conversations: off" in empty.run("memory", "off", "--conversations").stdout
