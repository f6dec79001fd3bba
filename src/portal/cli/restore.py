"""Put a backup in place."""

from pathlib import Path

import click

from portal.cli.backup import read_password
from portal.cli.options import called_as, data_dir_option, read_settings
from portal.errors import PortalError


@click.command()
@click.argument("backup", required=False, type=click.Path(path_type=Path))
@click.option("--finish", "only_finish", is_flag=True, help="Only undo or complete a restore that was interrupted.")
@click.option("--force", is_flag=True, help="Where there is data already, put it aside first.")
@click.option("--password-file", type=click.Path(path_type=Path, allow_dash=True), help="File with the password.")
@click.option("--password", "ask", is_flag=True, help="Ask for the password.")
@click.option("--database", default="", help="An empty PostgreSQL (postgresql://...) that the data goes to.")
@data_dir_option
def restore(
    backup: Path | None,
    only_finish: bool,
    force: bool,
    password_file: Path | None,
    ask: bool,
    database: str,
    data_dir: Path | None,
) -> None:
    """Put BACKUP in place as the data folder, once all of it was read and checked. Portal must be stopped.

    The data is in a SQLite file then, also where it was in PostgreSQL; --database moves it there.
    """
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
    _settle_database(settings.data_dir, database)
    click.echo(f"Start it with: {called_as()} up, then sign in with: {called_as()} link", err=True)


def _settle_database(data_dir: Path, wanted: str) -> None:
    """No server may start on the database that the backup was made of, which is another state of the same data."""
    import tomllib

    from portal.cli.moving import move_to, save_setting

    file = data_dir / "portal.toml"
    if file.exists() and tomllib.loads(file.read_text(encoding="utf-8")).get("database"):
        save_setting(file, "")
        click.echo("The data was in PostgreSQL; it is in a SQLite file now.", err=True)
    if wanted:
        try:
            move_to(wanted, data_dir)
        except PortalError as error:
            raise PortalError(
                f"The backup is in {data_dir}, as SQLite, and PostgreSQL was not filled: {error.message} "
                f"Go on with: {called_as()} migrate-to postgresql://... --save"
            ) from error
    elif read_settings(data_dir).database:
        click.echo(
            "PORTAL_DATABASE still names a PostgreSQL, where a server would look instead: take it out, or fill an "
            f"empty one with: {called_as()} migrate-to postgresql://... --save",
            err=True,
        )
