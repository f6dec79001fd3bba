"""Settings of the files that people upload and that tools make."""

from pydantic import Field

from portal.settings.section import Section


class FileSettings(Section):
    """How much is kept, and how long."""

    quota: int = Field(
        0, ge=0, description="Bytes that the files of one person may take, equal ones counted once; 0 for any number."
    )
    keep_days: int = Field(
        0,
        ge=0,
        description="Days after which files are deleted that were not uploaded with an expiry of their own and are in "
        "no collection of documents; 0 keeps them.",
    )
