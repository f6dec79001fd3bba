"""The manual says what the program does: every setting, every command, one version, no word that does not belong."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from portal import __version__
from portal.cli import ALSO, portal

FORBIDDEN = {
    "unfinished work": r"\b(TODO|FIXME|XXX|HACK)\b",
    "a machine's path": r"(?<![\w.])/(work|home/\w+|Users/\w+)/",
    "an issue's number": r"\bissue #?\d+\b",
    "how it came about": r"\b(this session|sub-?agents?|closing note|the lead|the brief)\b",
    "a package registry": r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|deb\.debian\.org)\b",
}


def commands() -> Iterator[str]:
    """Every command a person can type, without `portal`."""
    context = click.Context(portal)
    for name in portal.list_commands(context):
        command = portal.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {inner}" for inner in command.commands)
        else:
            yield name


def test_the_settings_page_is_what_the_settings_say(root: Path) -> None:
    command = [sys.executable, str(root / "scripts/settings_doc.py"), "--check"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_is_in_the_manual(root: Path) -> None:
    manual = (root / "docs/terminal.md").read_text(encoding="utf-8")

    missing = [name for name in commands() if f"portal {name}" not in manual]

    assert missing == []


def test_every_command_that_the_manual_names_exists(root: Path) -> None:
    known = {name.split()[0] for name in commands()} | set(commands()) | ALSO.keys()
    wrong = []
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
        for words in re.findall(
            r"(?:(?<![\w./-])(?<!exec )portal|launch\.sh) ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", " ".join(code)
        ):
            first, second = words.split()[0], " ".join(words.split()[:2])
            if first not in known | {"test"} or (
                first in {"keys", "models", "backends", "config"} and second not in known
            ):
                wrong.append(f"{page.name}: {words}")

    assert wrong == []


def tools(folder: Path) -> Iterator[str]:
    """Names of tools that Portal's own code makes: of decorated functions, and of specifications."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                made = (one.func for one in node.decorator_list if isinstance(one, ast.Call))
                if any(isinstance(one, ast.Name) and one.id == "tool" for one in made):
                    yield node.name
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ToolSpec":
                named = [one.value for one in node.keywords if one.arg == "name"]
                yield from (one.value for one in named if isinstance(one, ast.Constant))


def test_every_tool_is_in_the_manual(root: Path) -> None:
    pages = [*(root / "docs").glob("*.md"), *(root / "mcp").rglob("README.md")]
    told = "".join(_text(page) for page in pages)
    known = set(tools(root / "src/portal"))

    assert len(known) > 100
    assert sorted(name for name in known if f"`{name}`" not in told) == []


def test_every_event_is_in_the_manual_and_no_other(root: Path) -> None:
    source = "".join(_text(path) for path in (root / "src/portal").rglob("*.py"))
    published = r"""publish\(\s*[\w.]+,\s*"([a-z_.]+)"|_on_change\("([a-z_.]+)"|_CHANGED = "([a-z_.]+)\""""
    made = {name for names in re.findall(published, source) for name in names if name}
    page = _text(root / "docs/api.md")
    table = page.partition("## Feedback about changes")[2].partition("\n## ")[0]
    told = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([a-z_.]+)`", row.split("|")[1])
    }
    assert told == made | {"resync"}

    remarks = set(re.findall(r"""(?:remark|event)\("(portal:[a-z_]+)\"""", source))
    assert {name for name in remarks if f"`{name}`" not in page} == set()
    assert len(remarks) > 3


def test_every_option_explains_itself() -> None:
    context = click.Context(portal)
    silent = []
    for name in commands():
        command: click.Command | None = portal
        for word in name.split():
            assert isinstance(command, click.Group)
            command = command.get_command(context, word)
        assert command is not None
        assert command.help, name
        silent += [f"{name} {one.name}" for one in command.params if isinstance(one, click.Option) and not one.help]

    assert silent == []


def test_the_version_stands_in_one_place_and_in_the_changelog(root: Path, own_files: Sequence[Path]) -> None:
    stated = [
        path.relative_to(root).as_posix()
        for path in own_files
        if path.suffix in {".py", ".toml", ".sh"} and re.search(rf"[\"']{re.escape(__version__)}[\"']", _text(path))
    ]

    assert stated == ["src/portal/__init__.py"]
    assert re.search(rf"^## {re.escape(__version__)}\b", _text(root / "CHANGELOG.md"), re.MULTILINE)


def test_the_readme_begins_with_the_two_commands(root: Path) -> None:
    first_screen = "\n".join(_text(root / "README.md").splitlines()[:40])

    assert "./launch.sh up" in first_screen
    assert "./launch.sh test" in first_screen


def test_no_word_that_does_not_belong(root: Path, own_files: Sequence[Path]) -> None:
    found = []
    for path in own_files:
        if path == Path(__file__):
            continue
        for what, pattern in FORBIDDEN.items():
            found += [f"{path.relative_to(root)}: {what}: {hit[0]}" for hit in re.finditer(pattern, _text(path))]

    assert found == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
