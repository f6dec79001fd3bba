"""The CallLog port: tool calls of a running turn, recorded before they begin."""

from collections.abc import Sequence
from dataclasses import replace

from portal.core.approvals import ApprovalRecord
from portal.core.events import opened_until
from portal.core.ids import uuid7
from portal.core.records import StoredItem
from portal.storage.approvals import asked, used
from portal.storage.database import Database, Statement
from portal.storage.fence import Fence
from portal.storage.rows import item_args
from portal.storage.search import Search
from portal.storage.turn_log import INSERT_PARTIAL, keep_output, no_response


class StoredCallLog:
    """The CallLog port on a Database."""

    def __init__(self, *, database: Database, search: Search, fence: Fence | None = None) -> None:
        """Turns are those of the server that `fence` names."""
        self._database, self._search, self._fence = database, search, fence or Fence()

    async def begin(self, call: StoredItem, *, approval_id: str | None = None, arguments_hash: str = "") -> None:
        """See CallLog. The item is kept as an unfinished one until TurnLog.append replaces it."""
        begun = replace(call, last_seq=opened_until(call))
        args = {**item_args(call.response_id, begun), "number": uuid7(), "instance": self._fence.instance}
        statements = [Statement(INSERT_PARTIAL, args, 1, no_response(call.response_id))]
        if approval_id is not None:
            statements.append(used(approval_id, call.response_id, arguments_hash))
        await self._database.batch(statements)

    async def ask(self, items: Sequence[StoredItem], approvals: Sequence[ApprovalRecord]) -> None:
        """See CallLog."""
        statements: list[Statement] = []
        for item in items:
            statements += keep_output(self._search, item.response_id, item, self._fence)
        await self._database.batch([*statements, *asked(approvals)])
