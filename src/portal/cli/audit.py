"""Checking an installation's safety: what stands open, whether the audit is whole, and attacks on a running Portal."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import need_running, running
from portal.errors import PortalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from portal.cli.audit_files import Check
    from portal.core.tool_ports import Audit
    from portal.settings import Settings

MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}
_SHOWN = 50
"""Lines of the audit, where nothing is said."""
_REACHED = {True: "reached this machine", False: "blocked"}
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@click.option("--attack", is_flag=True, help="Try known attacks on the running Portal, as people made for it.")
@json_option
@data_dir_option
@click.pass_context
def audit(context: click.Context, attack: bool, as_json: bool, data_dir: Path | None) -> None:
    """Check how safe this installation is: what is reachable, who can read its files, what keys may.

    The exit code is 1 where something is BAD. `log` and `verify` are about the record of who did what.
    """
    if context.invoked_subcommand is not None:
        return
    from portal.cli.audit_checks import safety

    settings = read_settings(data_dir)
    found = list(attacked(settings) if attack else safety(settings))
    if as_json:
        click.echo(json.dumps([{"check": one.check, "state": one.state, "text": one.text} for one in found], indent=2))
    else:
        for one in found:
            click.echo(f"{MARKS[one.state]} {one.text}")
    bad = sum(one.state == "bad" for one in found)
    if bad:
        raise PortalError(f"{bad} of these need mending.")


@audit.command("log")
@click.option("--limit", type=click.IntRange(1), help="How many lines at most; 50 unless --since or --all is said.")
@click.option("--since", metavar="WHEN", help="All lines from then on: 12h, 30d or a date such as 2027-01-31 (UTC).")
@click.option("--all", "everything", is_flag=True, help="All lines there are.")
@json_option
@data_dir_option
def show_log(limit: int | None, since: str | None, everything: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show who did what, newest first: sign-ins, keys, people, settings, approvals, tool runs."""
    from portal.cli.audit_log import lines
    from portal.cli.moments import ago

    most = limit if limit or since or everything else _SHOWN
    for one in lines(data_dir, limit=most, since=ago(since) if since else 0):
        if as_json:
            click.echo(json.dumps(one, ensure_ascii=False))
        else:
            at = datetime.fromtimestamp(one["at"], UTC)
            detail = json.dumps(one["detail"], ensure_ascii=False)
            click.echo(f"{at:%Y-%m-%d %H:%M:%S}\t{one['action']}\t{one['owner'] or '-'}\t{one['subject']}\t{detail}")


@audit.command()
@click.option("--anchor", default="", help="What an earlier run told and was kept elsewhere, such as 42:9f2c...")
@json_option
@data_dir_option
def verify(anchor: str, as_json: bool, data_dir: Path | None) -> None:
    """Find lines of the audit that were changed, removed or put in. The exit code is 1 where there are some.

    Keep what it tells at the end somewhere else: with --anchor a later run finds even an audit that was made anew.
    """
    found = verification(data_dir, anchor)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for flaw in found["flaws"]:
            click.echo(_said(flaw))
        forgotten = f", the oldest {found['forgotten']} deleted as too old" if found.get("forgotten") else ""
        if found.get("unasked"):
            click.echo(
                "retention.audit_days is 0, so Portal deletes no lines: unless it was set once, somebody else did."
            )
        click.echo(f"{found['lines']} lines{forgotten}; anchor {found['head']}")
    if not found["whole"]:
        raise PortalError(f"The audit is not whole: {found['flaw_count']} flaws.")


def verification(data_dir: Path | None, anchor: str, settings: "Settings | None" = None) -> dict[str, Any]:
    """How the chain is found, by these settings or the folder's; the API's shape. Raises BadRequest, PortalError."""
    from portal.core.audit import Place

    place = Place.read(anchor) if anchor else None

    async def verified(audit: "Audit") -> dict[str, Any]:
        from portal.interfaces.web import views

        days = (settings or read_settings(data_dir)).retention.audit_days
        return views.verified(await audit.verify(place, days=days))

    return _asked(data_dir, f"verification?anchor={anchor}", verified, settings)


def attacked(settings: "Settings") -> "Iterator[Check]":
    """What comes of each attack: on the doors of the running server, and on the guard of what is fetched."""
    import asyncio

    from portal.cli.attacks import ATTACKS, staged
    from portal.cli.attacks_outbound import outbound
    from portal.cli.audit_files import Check
    from portal.security.outbound import Guard

    server = need_running(settings.data_dir, called_as)
    with staged(server.url, server.token) as stage:
        for name, attack in ATTACKS.items():
            way = attack(stage)
            yield Check(name, "bad" if way else "good", f"{name}: {way or 'blocked'}")
    reached = asyncio.run(outbound(settings, lambda settings, resolver: Guard(settings, resolver=resolver)))
    for name, through in reached.items():
        yield Check(f"fetch: {name}", "bad" if through else "good", f"fetch, {name}: {_REACHED[through]}")


def _said(flaw: dict[str, Any]) -> str:
    where = "a line without a place" if flaw["seq"] is None else f"line {flaw['seq']}"
    if flaw["until"] not in (None, flaw["seq"]):
        where = f"lines {flaw['seq']} to {flaw['until']}"
    return f"{flaw['kind']}\t{where}\t{flaw['id']}".rstrip()


def _asked(
    data_dir: Path | None,
    path: str,
    directly: "Callable[[Audit], Awaitable[dict[str, Any]]]",
    settings: "Settings | None" = None,
) -> dict[str, Any]:
    """Through the running server; else from the database."""
    server = running(data_folder(data_dir))
    if server is not None:
        return dict(server.client().get(f"/portal/v1/audit/{path}"))
    import asyncio

    from portal.storage.open import open_storage

    async def look() -> dict[str, Any]:
        async with open_storage(settings or read_settings(data_dir)) as storage:
            return await directly(storage.audit)

    return asyncio.run(look())
