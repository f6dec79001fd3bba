"""Settings of backups, of the copies that upgrades leave, and of how long things are kept."""

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


class RetentionSettings(Section):
    """How long things are kept that nobody deletes."""

    conversation_days: int = Field(
        0,
        ge=0,
        description="Days without a change after which a conversation that is not pinned is deleted, and a response "
        "that is in none; 0 keeps them.",
    )
    usage_days: int = Field(
        0, ge=0, description="Days after which the counts of calls and tokens are deleted; 0 keeps them."
    )
    audit_days: int = Field(
        0, ge=0, description="Days after which lines of the audit are deleted, oldest first; 0 keeps them."
    )
