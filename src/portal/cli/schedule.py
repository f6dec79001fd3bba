"""What runs by itself, from the terminal: schedules and webhooks, their runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.agreeing import secret
from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running

_ADDRESS = "/portal/v1/schedules"
_CATCH_UP = ("skip", "once", "all")
_SIGNATURES = ("github", "stripe", "standard")


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def schedule() -> None:
    """See, make and change what runs by itself: schedules and webhooks.

    SCHEDULE is its name or id.
    """


@schedule.command("list")
@data_dir_option
def list_schedules(data_dir: Path | None) -> None:
    """Show them: name, when, the next time, how the last run went, id."""
    for one in _client(data_dir).get(_ADDRESS)["data"]:
        click.echo(_line(one))


@schedule.command()
@click.argument("when")
@click.argument("prompt")
@click.option("--name", help="To know it by; the prompt's first words by default.")
@click.option("--zone", help="Time zone such as Europe/Berlin; this machine's by default.")
@click.option("--workspace", help="Workspace or model that it runs in; auto by default.")
@click.option("--to", "targets", multiple=True, help="Where answers go: page, telegram, ...; may be repeated.")
@click.option("--allow", "tools", multiple=True, help="A tool that runs may use without asking; may be repeated.")
@click.option("--continued", is_flag=True, help="Let all runs go on in one conversation.")
@click.option("--catch-up", type=click.Choice(_CATCH_UP), help="What becomes of times missed while Portal is off.")
@click.option("--jitter", type=int, metavar="SECONDS", help="Begin up to so much later.")
@click.option("--parallel", type=int, help="Runs of it at once; one by default.")
@click.option("--signed", "signature", type=click.Choice(_SIGNATURES), help="How a webhook's sender signs.")
@click.option("--secret", help="That it signs with; asked for if it is left out.")
@data_dir_option
def add(data_dir: Path | None, **fields: Any) -> None:
    """Run PROMPT at WHEN: a cron expression, "every weekday at 8:00", "every 30 minutes", "2026-12-24 18:00", or
    "webhook" for an address that others call."""
    if fields["signature"] and not fields["secret"]:
        fields["secret"] = secret("The secret that the sender signs with", twice=False, instead="say --secret SECRET.")
    wanted = {name: value for name, value in fields.items() if value}
    made = _client(data_dir).send("POST", _ADDRESS, wanted)
    click.echo(_line(made))
    if "url" in made:
        click.echo("Its address, which is shown this once:", err=True)
        click.echo(made["url"])


@schedule.command()
@click.argument("when")
@click.option("--zone", help="Time zone such as Europe/Berlin; this machine's by default.")
@data_dir_option
def preview(when: str, zone: str | None, data_dir: Path | None) -> None:
    """Show what WHEN means, its time zone, and the next times."""
    plan = _client(data_dir).send("POST", f"{_ADDRESS}/preview", {"when": when, "zone": zone})
    click.echo(f"{plan['when']} ({plan['zone']})")
    for at in plan["next"]:
        click.echo(_when(at))


@schedule.command()
@click.argument("schedule")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many.")
@data_dir_option
def runs(schedule: str, limit: int, data_dir: Path | None) -> None:
    """Show its runs, newest first: when, why, how it ended, response, where the answer went."""
    for one in _client(data_dir).get(f"{_ADDRESS}/{segment(schedule)}/runs", limit=limit)["data"]:
        went = ", ".join(f"{each['target']} {each['status']}{_why(each)}" for each in one["deliveries"])
        told = [_when(one["due_at"]), one["cause"], one["status"], one["response_id"], went, one["error"]]
        click.echo("\t".join(told).rstrip())


@schedule.command()
@click.argument("schedule")
@data_dir_option
def run(schedule: str, data_dir: Path | None) -> None:
    """Run it once, now."""
    begun = _client(data_dir).send("POST", f"{_ADDRESS}/{segment(schedule)}/run")
    click.echo(begun["response_id"])


@schedule.command()
@click.argument("schedule")
@data_dir_option
def pause(schedule: str, data_dir: Path | None) -> None:
    """Let it rest until it is resumed."""
    click.echo(_line(_client(data_dir).send("PATCH", f"{_ADDRESS}/{segment(schedule)}", {"paused": True})))


@schedule.command()
@click.argument("schedule")
@data_dir_option
def resume(schedule: str, data_dir: Path | None) -> None:
    """Let it run again."""
    click.echo(_line(_client(data_dir).send("PATCH", f"{_ADDRESS}/{segment(schedule)}", {"paused": False})))


@schedule.command()
@click.argument("schedule")
@data_dir_option
def delete(schedule: str, data_dir: Path | None) -> None:
    """Delete it with its history; its conversations stay."""
    _client(data_dir).send("DELETE", f"{_ADDRESS}/{segment(schedule)}")
    click.echo("Deleted.", err=True)


@schedule.command()
@click.argument("schedule")
@data_dir_option
def token(schedule: str, data_dir: Path | None) -> None:
    """Give a webhook a new address; the old one is no good from then on."""
    click.echo(_client(data_dir).send("POST", f"{_ADDRESS}/{segment(schedule)}/token")["url"])


def _line(one: Mapping[str, Any]) -> str:
    when = "webhook" if one["kind"] == "hook" else f"{one['when']} ({one['zone']})"
    then = "paused" if one["paused"] else _when(one["next_at"]) if one["next_at"] else "-"
    last = one["last_run"]["status"] if one["last_run"] else "-"
    return f"{one['name']}\t{when}\t{then}\t{last}\t{one['id']}"


def _why(delivery: Mapping[str, Any]) -> str:
    return f" ({delivery['error']})" if delivery["error"] else ""


def _when(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().isoformat(" ", "seconds")
