"""What is wrong with the database server and the store of files, where the settings name any."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from portal.cli.finding import Finding
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.settings import Settings

_SLOWER = "numpy compares vectors one by one in its place, which is slower beyond some ten thousand"


def vector_findings(settings: "Settings") -> Iterator[Finding]:
    """By what vectors are compared."""
    if settings.database:
        yield from _pgvector(settings.database)
        return
    from portal.storage.distances import compared_by

    means = compared_by()
    if means == "numpy":
        yield Finding("note", "sqlite-vec cannot be loaded: numpy compares vectors in its place, slower")
    elif means == "sqlite-vec":
        yield Finding("good", "Vectors are compared by sqlite-vec")


def file_findings(settings: "Settings") -> Iterator[Finding]:
    """Whether the bucket for files can be written to."""
    bucket = settings.files.s3.bucket
    if not bucket and settings.files.store != "s3":
        return
    from portal.storage.opening import contents_of

    try:
        contents = contents_of(settings.files)
        if contents is not None:
            asyncio.run(contents.check())
    except PortalError as error:
        yield Finding("bad", error.message, "Start the store, or correct files.s3.* in the settings", "files")
        return
    yield Finding("good", f"Files can be kept in the bucket {bucket}", check="files")


def _pgvector(url: str) -> Iterator[Finding]:
    try:
        from portal.storage.near_postgres import EXTENSION, unusable
        from portal.storage.postgres_alone import ask_alone

        (found,) = asyncio.run(ask_alone(url, EXTENSION))
    except PortalError:
        return  # said of the database already
    if why := unusable(found):
        mend = "Install pgvector 0.8 or newer on the database server"
        yield Finding("note", f"Vectors: {why}; {_SLOWER}", mend, "vectors")
    elif not found["version"]:
        mend = "As a superuser, in Portal's database: CREATE EXTENSION vector"
        yield Finding("note", f"Vectors: the extension `vector` is not in the database yet; {_SLOWER}", mend, "vectors")
    else:
        yield Finding("good", f"Vectors are compared by pgvector {found['version']}", check="vectors")
