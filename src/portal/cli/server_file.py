"""`server.json` in the data folder: where the running server is and the token by which the same person may use it."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from portal.cli.options import data_folder, read_settings
from portal.errors import PortalError, SettingsError
from portal.storage.data_folder import lock_owner

if TYPE_CHECKING:
    from portal.cli.client import Client
    from portal.settings import Settings

NAME = "server.json"
LOG = "portal.log"


def log_path(settings: "Settings") -> Path:
    """Where a server in the background writes its log."""
    return settings.data_dir / (settings.log.file or LOG)


def find_log(data_dir: Path | None) -> Path:
    """The same where the settings are wrong by now, which is when the log is wanted: then as if none named a file."""
    try:
        return log_path(read_settings(data_dir))
    except SettingsError:
        return data_folder(data_dir) / LOG


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFile:
    """What a server says of itself to the commands beside it."""

    pid: int
    url: str
    """Where it answers, from this machine."""
    token: str
    started_at: int
    """Unix seconds."""
    version: str
    certificate: str = ""
    """The file of the certificate that it shows, where it speaks HTTPS."""

    def write(self, data_dir: Path) -> None:
        """Put it in place at once, readable by its owner alone."""
        draft = data_dir / f"{NAME}.{self.pid}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        draft.replace(data_dir / NAME)

    def remove(self, data_dir: Path) -> None:
        """Take it away, unless it is another server's by now."""
        if read(data_dir) == self:
            (data_dir / NAME).unlink(missing_ok=True)

    def client(self, *, timeout: float = 60) -> "Client":
        """A client of this server, as its owner; `timeout` in seconds."""
        from portal.cli.client import Client

        return Client(url=self.url, token=self.token, timeout=timeout, certificate=self.certificate)


def read(data_dir: Path) -> ServerFile | None:
    """What the file says, whether or not that server is alive; None when there is none or it is not ours."""
    try:
        content = json.loads((data_dir / NAME).read_text(encoding="utf-8"))
        return ServerFile(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise PortalError(f"The file {data_dir / NAME} cannot be read: {error}") from error


def running(data_dir: Path) -> ServerFile | None:
    """The server that owns this data folder now."""
    server = read(data_dir)
    return server if server and owns(server.pid, data_dir) else None


def owns(pid: int, data_dir: Path) -> bool:
    """Whether this process holds the folder's lock, which ends with it; the id alone may be somebody else's by now."""
    words = re.findall(r"\w+", lock_owner(data_dir) or "")
    return ("process", str(pid)) in pairwise(words)


def need_running(data_dir: Path, called_as: Callable[[], str]) -> ServerFile:
    """The running server. Raises PortalError that says how to start one."""
    server = running(data_dir)
    if server is None:
        raise PortalError(f"No Portal is running with the data folder {data_dir}. Start it with: {called_as()} up")
    return server
