"""Settings of backups and of the copies that upgrades leave."""

from pathlib import Path

from pydantic import Field, SecretStr

from portal.settings.section import Section


class BackupSettings(Section):
    """Backups that a running server makes by itself, and copies from before upgrades."""

    folder: Path | None = Field(
        None, description="Where they go, best on another disk; a running server makes none as long as this is empty."
    )
    every: float = Field(24, gt=0, description="Hours between two of them.")
    keep: int = Field(7, gt=0, description="How many of them are kept; older ones are deleted.")
    password: SecretStr | None = Field(
        None, description="Password they are sealed with (extra `encryption`); without one they are readable by you."
    )
    snapshots: int = Field(
        2, gt=0, description="How many copies of the database from before an upgrade are kept in the data folder."
    )
