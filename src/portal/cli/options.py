"""What many commands share: the data folder, the settings behind it, and the name Portal was called by."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from portal.errors import SettingsError

if TYPE_CHECKING:
    from portal.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
_FOLDER = "portal.data_dir"


def data_dir_option(command: Command) -> Command:
    """`--data-dir D`, also before the command's name; all other sources of it are read by the settings."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_said_folder,
        help="Portal's data folder (PORTAL_DATA_DIR).",
    )(command)


def _said_folder(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    folder: Path | None = value or ctx.meta.get(_FOLDER)
    if folder is not None:
        ctx.meta[_FOLDER] = folder
    return folder


def read_settings(data_dir: Path | None, **arguments: Any) -> "Settings":
    """The settings with what the command line says on top; None means not said. The data folder is made absolute.

    Raises:
        SettingsError: names what is wrong.
    """
    from portal.settings import load_settings

    said: Mapping[str, Any] = {"data_dir": data_dir, **arguments}
    settings = load_settings({name: value for name, value in said.items() if value is not None})
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def data_folder(data_dir: Path | None) -> Path:
    """The data folder alone, for what only speaks to the server there: settings that are wrong by now do not keep
    anybody from a server that runs."""
    from portal.settings import folder_whatever_is_set

    try:
        return read_settings(data_dir).data_dir
    except SettingsError:
        return folder_whatever_is_set({"data_dir": data_dir}).expanduser().absolute()


def program() -> str:
    """How the person called us: `portal`, or the launcher's own spelling."""
    return click.get_current_context().find_root().info_name or "portal"


def called_as() -> str:
    """What a hint puts before a command's name, so that it is about the same data folder."""
    folder = click.get_current_context().meta.get(_FOLDER)
    return program() if folder is None else f"{program()} --data-dir {shlex.quote(str(folder))}"


def counted(number: int, one: str, many: str = "") -> str:
    """Such as `1 model`, `2 models`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
