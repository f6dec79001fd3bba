"""Before something is deleted a person is asked; where there is nobody to ask, it is said what to say instead."""

import re
from pathlib import Path

import click
from tests.cli.conftest import Installation, Terminal

from portal.cli import portal


def test_without_a_terminal_nothing_is_asked_or_done(installation: Installation, shared: Installation) -> None:
    key = installation.run("keys", "create", "kept").stdout.strip()
    shared.run("knowledge", "create", "Kept")

    for where, words, way in (
        (installation, ("reset-secrets",), "say --yes"),
        (shared, ("knowledge", "remove", "-c", "Kept", "--all"), "say --yes"),
        (shared, ("memory", "forget", "--all"), "say --yes"),
        (installation, ("backup", str(installation.home / "a.portal-backup"), "--password"), "say --password-file"),
        (shared, ("schedule", "add", "webhook", "x", "--signed", "github"), "say --secret"),
    ):
        done = where.run(*words, stdin="y\n")
        assert done.returncode == 1, words
        assert way in done.stderr, words
        assert "?" not in done.stderr, words

    assert f"...{key[-4:]}" in installation.run("keys", "list").stdout
    assert "Kept" in shared.run("knowledge", "list").stdout
    assert not list(installation.home.glob("*.portal-backup"))


def test_a_no_on_a_terminal_does_nothing(installation: Installation) -> None:
    key = installation.run("keys", "create", "kept").stdout.strip()

    with Terminal(installation, "reset-secrets") as terminal:
        terminal.until("of everybody? [y/N]")
        terminal.type("n\r")
        assert terminal.wait() == 1

    assert "Nothing was ended." in terminal.seen
    assert f"...{key[-4:]}" in installation.run("keys", "list").stdout


def test_only_those_ask_who_look_for_a_person_first() -> None:
    folder = Path(portal.callback.__code__.co_filename).parent  # type: ignore[union-attr]
    asking = {
        file.name for file in folder.glob("*.py") if re.search(r"click\.(confirm|prompt)\(", file.read_text("utf-8"))
    }

    assert asking == {"agreeing.py", "asking.py", "workspaces.py"}
    assert not [
        name for name, one in _commands(portal) if any(getattr(option, "prompt", None) for option in one.params)
    ]


def test_every_command_takes_a_data_folder() -> None:
    without = [name for name, one in _commands(portal) if not any("--data-dir" in option.opts for option in one.params)]

    assert without == []


def _commands(group: click.Group, name: str = "portal") -> list[tuple[str, click.Command]]:
    """Each command that can be run, with its whole name."""
    found = []
    context = click.Context(group)
    for word in group.list_commands(context):
        one = group.get_command(context, word)
        assert one is not None
        inner = _commands(one, f"{name} {word}") if isinstance(one, click.Group) else [(f"{name} {word}", one)]
        found += inner
    return found
