"""What was used, in the terminal."""

import json
from pathlib import Path
from typing import Any

import click

from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running

_BY = ("day", "model", "user", "workspace", "door", "backend", "key")
_WIDE = 2
"""Spaces between columns."""


@click.command()
@click.option("--by", type=click.Choice(_BY), multiple=True, default=("model",), show_default=True,
              help="What to sum up by; may be repeated.")  # fmt: skip
@click.option("--since", metavar="DAY", help="From this day on, such as 2026-11-01; else the last 30 days.")
@click.option("--until", metavar="DAY", help="Up to and with this day; today by default.")
@click.option("--everybody", is_flag=True, help="What all people used, for those who run this Portal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
def usage(data_dir: Path | None, by: tuple[str, ...], everybody: bool, as_json: bool, **days: str | None) -> None:
    """Show calls, failures and tokens, by the days of the time zone of the server."""
    query = {name: value for name, value in days.items() if value}
    query |= {"by": ",".join(by), "everybody": str(everybody or "user" in by).lower()}
    client = need_running(data_folder(data_dir), called_as).client()
    told = client.get("/portal/v1/usage", **query)
    if as_json:
        click.echo(json.dumps(told["data"], ensure_ascii=False, indent=2))
        return
    if not told["data"]:
        click.echo("Nothing was used in this time.", err=True)
        return
    click.echo(
        _table([[*by, "calls", "failed", "tokens in", "tokens out", "first token"], *map(_line(by), told["data"])])
    )


def _line(by: tuple[str, ...]) -> Any:
    def line(row: dict[str, Any]) -> list[str]:
        first = row["first_milliseconds"]
        named = [(row["name"] or row[one]) if one == "user" else row[one] or "-" for one in by]
        figures = [f"{row[name]:,}" for name in ("calls", "failures", "input_tokens", "output_tokens")]
        return [*named, *figures, "-" if first is None else f"{first / 1000:.2f} s"]

    return line


def _table(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column, _ in enumerate(rows[0])]
    words = len(rows[0]) - 5

    def cell(column: int, text: str) -> str:
        return text.ljust(widths[column]) if column < words else text.rjust(widths[column])

    return "\n".join((" " * _WIDE).join(cell(*one) for one in enumerate(row)).rstrip() for row in rows)
