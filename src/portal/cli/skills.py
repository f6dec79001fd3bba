"""Skills from the terminal: which there are, what is in them, installing after a look, removing. They are files of the
data folder: a running server sees what changes here at its next turn."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.agreeing import agreed
from portal.cli.counted import counted
from portal.cli.options import called_as, data_dir_option, read_settings
from portal.errors import Conflict, NotFound

if TYPE_CHECKING:
    from portal.tools.skill import Shelf, Skill

_SHOWN = 50


@click.group()
def skills() -> None:
    """See, install and remove skills: instructions and scripts that models load when a task needs them."""


@skills.command("list")
@data_dir_option
def list_skills(data_dir: Path | None) -> None:
    """Show every skill: name, where from, and what for."""
    shelf = _shelf(data_dir)
    for skill in shelf.skills().values():
        where = "installed" if shelf.installed(skill) else str(skill.folder)
        trust = "trusted" if shelf.trusts(skill) else "untrusted"
        click.echo(f"{skill.name}\t{where}\t{trust}\t{skill.description[:200]}")
    for why in shelf.broken():
        click.echo(f"not usable: {why}", err=True)
    if not shelf.skills():
        click.echo(f"There are no skills: {called_as()} skills install SOURCE", err=True)


@skills.command()
@click.argument("name")
@data_dir_option
def show(name: str, data_dir: Path | None) -> None:
    """Show what a skill says and contains."""
    skill = _get(_shelf(data_dir), name)
    _describe(skill)
    click.echo(f"\n{_plain(skill.body)}")


@skills.command()
@click.argument("source")
@click.argument("names", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def install(source: str, names: tuple[str, ...], yes: bool, data_dir: Path | None) -> None:
    """Install the skills in SOURCE: a folder, a zip or tar file, or the URL of a git repository. NAMES choose among
    them. Shows what they contain, and asks."""
    asyncio.run(_install(_shelf(data_dir), source, names, yes=yes))


@skills.command()
@click.argument("name")
@data_dir_option
def remove(name: str, data_dir: Path | None) -> None:
    """Remove an installed skill."""
    from portal.tools.skill_install import remove as delete

    shelf = _shelf(data_dir)
    skill = _get(shelf, name)
    if not shelf.installed(skill):
        raise Conflict(f"{name} is in {skill.folder.parent}, a folder of the settings; remove it there.")
    delete(skill)
    click.echo(f"Removed {name}.", err=True)


async def _install(shelf: "Shelf", source: str, names: Sequence[str], *, yes: bool) -> None:
    from portal.tools.skill_install import arrived
    from portal.tools.skill_install import install as put

    async with arrived(source) as found:
        chosen = [skill for skill in found if not names or skill.name in names]
        if missing := {*names} - {skill.name for skill in chosen}:
            raise NotFound(
                f"{source} has no skill {', '.join(sorted(missing))}; it has {', '.join(s.name for s in found)}."
            )
        for skill in chosen:
            _describe(skill)
            if skill.name in shelf.skills():
                click.echo("It takes the place of a skill of that name.")
        question = "Models will read these words and may run these scripts. Install?"
        agreed(question, yes=yes, otherwise="Nothing was installed")
        for skill in chosen:
            put(skill, shelf.home)
    click.echo(f"Installed {', '.join(skill.name for skill in chosen)}.", err=True)


def _describe(skill: "Skill") -> None:
    click.echo(f"{skill.name}: {skill.description}")
    said = {
        "licence": skill.licence,
        "needs": skill.compatibility,
        "wants tools": skill.allowed_tools,
        **skill.metadata,
    }
    for key, value in said.items():
        if value:
            click.echo(f"  {key}: {value}")
    files = skill.files()
    for file in sorted(files, key=lambda file: not file.script)[:_SHOWN]:
        click.echo(f"  {file.size:>10,}  {_plain(file.path)}{'  (script)' if file.script else ''}")
    if len(files) > _SHOWN:
        click.echo(f"  and {len(files) - _SHOWN} more")
    scripts, size = sum(file.script for file in files), sum(file.size for file in files)
    click.echo(f"  {counted(len(files), 'file')}, {counted(scripts, 'script')}, {counted(size, 'byte')}")


def _plain(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def _shelf(data_dir: Path | None) -> "Shelf":
    from portal.tools.skill import Shelf

    return Shelf(read_settings(data_dir))


def _get(shelf: "Shelf", name: str) -> "Skill":
    skill = shelf.skills().get(name)
    if skill is None:
        raise NotFound(f"There is no skill {name!r}.")
    return skill
