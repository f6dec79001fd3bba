"""The log of a server: read and followed, also while it is turned over; and how much is written to it."""

import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import find_log, need_running
from portal.errors import PortalError

ROOT = "/portal/v1/log"
LEVELS = ("debug", "info", "warning", "error")
_RANK = {name: rank for rank, name in enumerate((*LEVELS, "critical"))}
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\w+) +([\w.]+): (.*)", re.DOTALL)
_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LOOK = 0.2


@dataclass(slots=True)
class Entry:
    """One entry of the log: its first line, and those that belong to it."""

    lines: list[str] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """What it says; of a line that is no entry of Portal's, the text alone."""
        text = "".join(self.lines).rstrip("\n")
        if text.startswith("{"):
            try:
                found = json.loads(text)
            except ValueError:
                found = None
            if isinstance(found, dict):
                return found
        if match := _LINE.fullmatch(text):
            return dict(zip(("time", "level", "logger", "message"), match.groups(), strict=True))
        return {"message": text}

    def shown(self, *, least: str, as_json: bool) -> str:
        """As it is printed; empty where it is less than asked for."""
        told = self.told
        if least and _RANK.get(str(told.get("level", "info")), 0) < _RANK[least]:
            return ""
        return json.dumps(told, ensure_ascii=False) + "\n" if as_json else "".join(self.lines)


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Lines put together; one that does not begin an entry belongs to the one before."""
    entry = Entry()
    for line in lines:
        if entry.lines and (line.startswith("{") or _LINE.match(line)):
            yield entry
            entry = Entry()
        entry.lines.append(line)
    if entry.lines:
        yield entry


@click.command()
@data_dir_option
@click.option("-f", "--follow", is_flag=True, help="Go on showing new lines.")
@click.option("-n", "--lines", default=200, show_default=True, help="How many lines of the past to show.")
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), help="Only entries of this level or above.")
@click.option("--json", "as_json", is_flag=True, help="Print each entry as a JSON object.")
def logs(data_dir: Path | None, follow: bool, lines: int, level: str | None, as_json: bool) -> None:
    """Show the log of a server in the background."""
    path = find_log(data_dir)
    if not path.exists():
        raise PortalError(
            f"There is no log at {path}. A server in the background writes one: {called_as()} up --detach"
        )
    with path.open(encoding="utf-8", errors="replace") as file:
        if not path.stat().st_size:
            click.echo(f"Nothing has been logged yet in {path}.", err=True)
        _show(deque(file, lines), level, as_json)
        if follow:
            _follow(path, file, level, as_json)


def _show(lines: Iterable[str], level: str | None, as_json: bool) -> None:
    if not level and not as_json:
        click.echo("".join(lines), nl=False)
        return
    for entry in entries(lines):
        click.echo(entry.shown(least=level or "", as_json=as_json), nl=False)


def _follow(path: Path, file: TextIO, level: str | None, as_json: bool) -> None:
    """New lines as they come; once another file has taken its place, that one's."""
    while True:
        _show(file.readlines(), level, as_json)
        if _is_replaced(path, file):
            _show(file.readlines(), level, as_json)
            file.close()
            file = path.open(encoding="utf-8", errors="replace")
        else:
            time.sleep(_LOOK)


def _is_replaced(path: Path, file: TextIO) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:  # for a moment there is neither
        return False


def _span(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Seconds of `10m` or `1h30m`."""
    if value is None:
        return None
    found = _SPAN.findall(value)
    if not found or "".join(number + unit for number, unit in found) != value:
        raise click.BadParameter("is a time such as 90s, 10m, 2h or 1d")
    return sum(int(number) * _SECONDS[unit] for number, unit in found)


@click.group()
def log() -> None:
    """See and change how much the running server logs."""


@log.command()
@click.argument("name", metavar="[LEVEL]", required=False, type=click.Choice(LEVELS, case_sensitive=False))
@click.option("--logger", default="", help="Only this logger and those below it, such as portal.routing.")
@click.option("--for", "seconds", callback=_span, metavar="TIME", help="Go back after so long, such as 10m.")
@data_dir_option
def level(data_dir: Path | None, name: str | None, logger: str, seconds: int | None) -> None:
    """Show what is logged, or log from LEVEL on: debug, info, warning or error."""
    client: Client = need_running(data_folder(data_dir), called_as).client()
    if name is None:
        told = client.get(ROOT)
    else:
        told = client.send("PUT", ROOT, {"level": name, "logger": logger, "seconds": seconds})
    for one in ({"name": "everything", **told}, *told["loggers"]):
        click.echo(f"{one['name']}\t{one['level'].lower()}{_until(one['until'])}")


def _until(moment: int | None) -> str:
    return f"\tuntil {datetime.fromtimestamp(moment, UTC).astimezone():%Y-%m-%d %H:%M:%S}" if moment else ""
