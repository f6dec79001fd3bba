"""Put a backup in place."""

from pathlib import Path

import click

from portal.cli.backup import read_password
from portal.cli.options import called_as, data_dir_option, read_settings


@click.command()
@click.argument("backup", required=False, type=click.Path(path_type=Path))
@click.option("--finish", "only_finish", is_flag=True, help="Only undo or complete a restore that was interrupted.")
@click.option("--force", is_flag=True, help="Where there is data already, put it aside first.")
@click.option("--password-file", type=click.Path(path_type=Path, allow_dash=True), help="File with the password.")
@click.option("--password", "ask", is_flag=True, help="Ask for the password.")
@data_dir_option
def restore(
    backup: Path | None,
    only_finish: bool,
    force: bool,
    password_file: Path | None,
    ask: bool,
    data_dir: Path | None,
) -> None:
    """Put BACKUP in place as the data folder, once all of it was read and checked. Portal must be stopped."""
    from portal.storage.backups.restoring import restore as put_back
    from portal.storage.backups.restoring import set_right

    settings = read_settings(data_dir)
    if only_finish:
        set_right(settings.data_dir)
        return click.echo(f"{settings.data_dir} is in order.", err=True)
    if backup is None:
        raise click.UsageError("Name the backup.")
    password = read_password(settings, password_file, ask=ask, again=False)
    manifest, aside = put_back(backup.absolute(), settings.data_dir, password, force=force)
    made = f", made by Portal {manifest.head.portal} at {manifest.head.created_at}" if manifest else ""
    click.echo(f"The backup{made} is in {settings.data_dir}.", err=True)
    if aside:
        click.echo(f"What was there before is in {aside}; delete it once all is well.", err=True)
    if manifest and not manifest.secrets:
        click.echo("API keys of other servers were not in it; enter them again where they are missing.", err=True)
    click.echo(f"Start it with: {called_as()} up, then sign in with: {called_as()} link", err=True)
