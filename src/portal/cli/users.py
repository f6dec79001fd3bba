"""The people of this installation, from the terminal. It acts as the owner, through the running server."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from portal.cli.agreeing import has_person, secret
from portal.cli.bounds import bounds_in_words, bounds_options, budget_of
from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import BadRequest, NotFound

_ADDRESS = "/portal/v1/users"
_ROLES = click.Choice(["admin", "member", "guest"])


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


def _find(client: Client, user: str) -> dict[str, Any]:
    """The one of this name, login or id. Raises NotFound, BadRequest where several have that name."""
    everybody = client.get(_ADDRESS)["data"]
    sure = [one for one in everybody if user in (one["id"], one["login"])]
    found = sure or [one for one in everybody if one["name"] == user]
    if not found:
        raise NotFound(f"There is nobody named {user!r}. `{called_as()} users list` shows everybody.")
    if len(found) > 1:
        raise BadRequest(f"Several are named {user!r}: use a sign-in name or id.")
    return dict(found[0])


def _at(one: Mapping[str, Any], rest: str = "") -> str:
    return f"{_ADDRESS}/{segment(one['id'])}{rest}"


@click.group()
def users() -> None:
    """See and change who may use this Portal, and as what.

    USER is a sign-in name, a name or an id.
    """


@users.command("list")
@data_dir_option
def list_users(data_dir: Path | None) -> None:
    """Show everybody: name, role, sign-in name, id, and what bounds them."""
    for one in _client(data_dir).get(_ADDRESS)["data"]:
        more = [*(["suspended"] if one["suspended"] else []), *bounds_in_words(one["limits"])]
        click.echo("\t".join([one["name"], one["role"], one["login"] or "-", one["id"], *more]))


@users.command()
@click.argument("name")
@click.option("--login", default="", help="What they sign in by beside a password: a name or an e-mail address.")
@click.option("--role", type=_ROLES, default="member", show_default=True, help="What they may here.")
@data_dir_option
def add(name: str, login: str, role: str, data_dir: Path | None) -> None:
    """Let somebody in, and print the link, alone, that signs them in once within a week."""
    body = {"name": name, "login": login, "role": role}
    click.echo(_client(data_dir).send("POST", _ADDRESS, body)["url"])


@users.command()
@click.argument("user")
@data_dir_option
def invite(user: str, data_dir: Path | None) -> None:
    """Print a new link that signs somebody in once, within a week."""
    client = _client(data_dir)
    click.echo(client.send("POST", _at(_find(client, user), "/invitation"))["url"])


@users.command("set")
@click.argument("user")
@click.option("--name", help="Another name.")
@click.option("--login", help="Another sign-in name or e-mail address; '' for none.")
@click.option("--role", type=_ROLES, help="Another role; what they have open ends.")
@data_dir_option
def set_user(user: str, data_dir: Path | None, **fields: str | None) -> None:
    """Change somebody's name, sign-in name or role."""
    client = _client(data_dir)
    one = _find(client, user)
    wanted = {name: value for name, value in fields.items() if value is not None}
    if one["role"] == "owner" and "role" not in wanted:
        client.send("PATCH", "/portal/v1/me", wanted)
        return
    client.send("PATCH", _at(one), wanted)


@users.command()
@click.argument("user", required=False)
@data_dir_option
def password(user: str | None, data_dir: Path | None) -> None:
    """Set somebody's password, or yours, the owner's; their browsers are signed out. It is asked for, or read from a
    pipe."""
    client = _client(data_dir)
    one = _find(client, user) if user else None
    new = _asked()
    if one is None or one["role"] == "owner":
        client.send("PUT", "/portal/v1/me/password", {"password": new})
    else:
        client.send("PATCH", _at(one), {"password": new})
    click.echo("The password is set.", err=True)


def _asked() -> str:
    if not has_person():
        return sys.stdin.readline().rstrip("\n")
    return secret("New password", twice=True, instead="write it into a pipe.")


@users.command()
@click.argument("user")
@bounds_options
@data_dir_option
def limit(user: str, scopes: tuple[str, ...], rate: int, budgets: tuple[str, ...], data_dir: Path | None) -> None:
    """Set what somebody may use beside what their role says, and how much; without any option nothing bounds them."""
    client = _client(data_dir)
    client.send("PATCH", _at(_find(client, user)), {"limits": {"scopes": scopes, "rate": rate, **budget_of(budgets)}})


@users.command()
@click.argument("user")
@data_dir_option
def suspend(user: str, data_dir: Path | None) -> None:
    """Keep somebody out: keys and sessions are refused at once, running answers end. All that is theirs stays."""
    client = _client(data_dir)
    client.send("PATCH", _at(_find(client, user)), {"suspended": True})


@users.command()
@click.argument("user")
@data_dir_option
def resume(user: str, data_dir: Path | None) -> None:
    """Let somebody in again."""
    client = _client(data_dir)
    client.send("PATCH", _at(_find(client, user)), {"suspended": False})


@users.command()
@click.argument("user")
@click.option("--heir", help="Who takes over their conversations, files, documents and schedules.")
@click.option("--everything", is_flag=True, help="Delete all that is theirs. This cannot be undone.")
@data_dir_option
def delete(user: str, heir: str | None, everything: bool, data_dir: Path | None) -> None:
    """Delete somebody: with --everything, or after handing what they made to an --heir."""
    if bool(heir) == everything:
        raise BadRequest("Say --heir USER, or --everything.")
    client = _client(data_dir)
    one = _find(client, user)
    wish = f"heir={segment(_find(client, heir)['id'])}" if heir else "everything=true"
    client.send("DELETE", f"{_at(one)}?{wish}")
    click.echo(f"{one['name']} is deleted.", err=True)
