"""Notices between servers, where the database does not answer."""

import pytest

from portal.errors import StorageError
from portal.storage.notices import PostgresNotices


async def test_whoever_says_something_does_not_wait_for_ever() -> None:
    notices = PostgresNotices(url="postgresql://127.0.0.1:1/none", me=lambda: "one", patience=0.05)
    with pytest.raises(StorageError, match="could not be told in time"):
        await notices.say("question", {"id": 1})
