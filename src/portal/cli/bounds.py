"""Options that bound what a key or a person may use."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from portal.cli.options import Command
from portal.errors import BadRequest


def bounds_options(command: Command) -> Command:
    """`--scope`, `--rate` and `--budget`."""
    scope = click.option(
        "--scope",
        "scopes",
        multiple=True,
        metavar="SCOPE",
        help="What may be used: models:NAME, workspaces:NAME, tools:NAME (patterns; tools:none for none), read-only, "
        "admin, metrics. May be repeated; without any nothing is excluded.",
    )
    rate = click.option("--rate", type=click.IntRange(0), default=0, metavar="N", help="Requests a minute.")
    budget = click.option(
        "--budget", "budgets", multiple=True, metavar="AMOUNT", help="A day: 500requests or 100000tokens."
    )
    return scope(rate(budget(command)))


def budget_of(budgets: Iterable[str]) -> dict[str, int]:
    """The fields of the API. Raises BadRequest."""
    found = {}
    for one in budgets:
        match = re.fullmatch(r"\s*(\d+)\s*(requests|tokens)\s*", one.lower())
        if match is None:
            raise BadRequest(f"{one!r} is no budget, such as 500requests or 100000tokens.")
        found[match[2]] = int(match[1])
    return found


def bounds_in_words(bounds: Mapping[str, Any]) -> Iterator[str]:
    """What they bound, each in words."""
    yield from bounds["scopes"]
    if bounds["rate"]:
        yield f"{bounds['rate']} a minute"
    for what in ("requests", "tokens"):
        if bounds[what]:
            yield f"{bounds[what]} {what} a day"
