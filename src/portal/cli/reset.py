"""All of Portal's own secrets anew, after one may have leaked."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.agreeing import agreed
from portal.cli.options import called_as, data_dir_option, read_settings

if TYPE_CHECKING:
    from portal.settings import Settings


@click.command("reset-secrets")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def reset_secrets(yes: bool, data_dir: Path | None) -> None:
    """End every API key, session and sign-in link of everybody, and make a new sealing key. Portal must be stopped.

    Passwords and passkeys stay. What else stays is listed: secrets of others, such as keys of
    model servers, and addresses of webhooks.
    """
    import asyncio

    from portal.security.guards import all_secrets
    from portal.storage.data_folder import lock_data_folder

    settings = read_settings(data_dir)
    with lock_data_folder(settings.data_dir, f"a command (process {os.getpid()})"):
        agreed("End every key, session and sign-in link of everybody?", yes=yes, otherwise="Nothing was ended")
        ended = asyncio.run(_ended(settings))
        kept = _sealed_anew(settings)
    click.echo(f"Ended are {ended} keys, sessions and links. The sealing key is new.")
    for name in (*(name for name, _ in all_secrets(settings)), *kept):
        click.echo(f"Stays, change it where it is from: {name}")
    click.echo(f"Come in again with: {called_as()} up, then {called_as()} link", err=True)


def _sealed_anew(settings: "Settings") -> list[str]:
    """Let go of the sealing key, wherever it is, and keep what it sealed under a new one. Names of what is kept in the
    file of secrets: keys of others, and addresses of webhooks."""
    from portal.app.sealing import secret_file
    from portal.security.ring import forget_key, is_lost
    from portal.security.secret_file import SecretFile

    file = SecretFile(settings.data_dir / "secrets.json")
    if settings.seal_key is None and settings.secrets.store == "keyring" and is_lost(settings.data_dir):
        kept = file.legible()
        for name in file.names():
            if name not in kept:
                click.echo(f"Lost with its key, set it again where it is from: {name}")
        file.write(kept)
    else:
        file = secret_file(settings)
        kept = file.all()
    if kept:
        file.opened().write(kept)  # whatever ends this before they are sealed anew, they can be read
    forget_key(settings.data_dir)
    secret_file(settings)
    return sorted(kept)


async def _ended(settings: "Settings") -> int:
    from portal.app.sealing import SEAL, bring_home
    from portal.core.audit import line
    from portal.storage.open import open_storage
    from portal.storage.users import end_credentials

    async with open_storage(settings) as storage:
        await bring_home(settings, storage)
        await storage.key_values.set(SEAL, None)
        ended = await end_credentials(storage.database)
        owner = await storage.users.owner()
        await storage.audit.record(line(owner.id, "secrets.reset", "credentials", {"ended": ended}))
    return ended
