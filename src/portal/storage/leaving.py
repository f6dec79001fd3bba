"""What becomes of what somebody had who is deleted: one batch, every table that has owners in it."""

from collections.abc import Iterator, Sequence

from portal.core.clock import micros
from portal.core.passages import Space
from portal.storage.database import Statement
from portal.storage.passages import StoredPassages
from portal.storage.rows import to_json
from portal.storage.search import Search

PERSONAL = (
    "credentials",
    "grants",
    "memories",
    "channel_links",
    "channel_codes",
    "channel_chats",
    "shares",
    "passkeys",
    "identities",
    "imports",
    "oauth_refreshes",
    "approval_rounds",
    "approvals",
)
"""What stands for a person, what they had remembered and allowed: nobody inherits it."""
MADE = (
    "schedules",
    "schedule_runs",
    "schedule_deliveries",
    "channel_deliveries",
    "partials",
    "items",
    "responses",
    "conversations",
    "folders",
    "workspaces",
    "sources",
    "file_batches",
    "usage_log",
    "traces",
    "media_jobs",
)
SHELVED = ("collections", "documents", "hidden_passages", "passage_attributes", "passages", "files", "file_chunks")
"""Large: deleted by and by behind everybody's back, found by nobody from now on."""
SEARCHED = ("search_texts",)
KEPT = ("audit",)
"""Only ever added to: who did what stays known."""

LEFT = (
    *(f"SELECT 1 FROM {table} WHERE owner = :owner LIMIT 1" for table in (*PERSONAL, *MADE)),
    "SELECT 1 FROM collections WHERE owner = :owner AND leaving <> 2 LIMIT 1",
    "SELECT 1 FROM files WHERE owner = :owner AND ready = 1 LIMIT 1",
)
"""Anything that is somebody's still, but for what is being deleted."""
DELETE = "DELETE FROM {table} WHERE owner = :owner"
GIVE = "UPDATE {table} SET owner = :heir WHERE owner = :owner"
FORGET_SWITCHES = "DELETE FROM key_values WHERE name = :name"
LEAVE = "UPDATE collections SET leaving = 2 WHERE owner = :owner"
HIDE_FILES = "UPDATE files SET ready = 0 WHERE owner = :owner"

# Names are unique to each owner: the heir's own keep theirs.
RENAME = """
UPDATE {table} SET name = name || ' ' || :mark WHERE owner = :owner AND name IN (
    SELECT name FROM {table} WHERE owner = :heir)"""
RENAME_WORKSPACE = """
UPDATE workspaces SET name = name || '-' || :mark WHERE owner = :owner AND name IN (
    SELECT name FROM workspaces WHERE owner = :heir)"""
# What was still under way is not gone on with under another name.
END = """
UPDATE responses SET status = 'incomplete', incomplete_details = :interrupted, completed_at = :now, instance = ''
WHERE owner = :owner AND status IN ('queued', 'in_progress')"""
# The heir has not said that these may run by themselves.
PAUSE = "UPDATE schedules SET paused = 1, permits = '[]', targets = '[]' WHERE owner = :owner"


class Leaving:
    """The statements of such a batch."""

    def __init__(self, *, passages: StoredPassages, search: Search) -> None:
        self._passages, self._search = passages, search

    def deleting(self, owner: str) -> Iterator[Statement]:
        """All of it goes."""
        yield from self._forgetting(owner)
        yield from self._dropping(owner, "turns")
        yield from self._search.remove("owner = :owner", owner=owner)
        for table in MADE:
            yield Statement(DELETE.format(table=table), {"owner": owner})
        yield from (
            self._passages.marking(),
            Statement(LEAVE, {"owner": owner}),
            Statement(HIDE_FILES, {"owner": owner}),
        )

    def handing_over(self, owner: str, heir: str) -> Iterator[Statement]:
        """What they made is the heir's."""
        yield from self._forgetting(owner)
        args = {"owner": owner, "heir": heir, "mark": owner[-6:]}
        # first: a turn that begins holds its conversation
        yield Statement(GIVE.format(table="conversations"), args)
        yield Statement(END, {**args, "interrupted": to_json({"reason": "interrupted"}), "now": micros()})
        yield Statement(PAUSE, args)
        yield Statement(RENAME.format(table="schedules"), args)
        yield Statement(RENAME_WORKSPACE, args)
        yield Statement(DELETE.format(table="partials"), args)
        for table in (*MADE, *SHELVED, *SEARCHED):
            yield Statement(GIVE.format(table=table), args)

    def _forgetting(self, owner: str) -> Iterator[Statement]:
        yield from self._dropping(owner, "memories")
        for table in PERSONAL:
            yield Statement(DELETE.format(table=table), {"owner": owner})
        yield Statement(FORGET_SWITCHES, {"name": f"memory:{owner}"})

    def _dropping(self, owner: str, space: Space) -> Sequence[Statement]:
        return self._passages.dropping(owner, space)
