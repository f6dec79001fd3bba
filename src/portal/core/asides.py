"""Asides: what a tool server asks back while a call of it runs. The call waits for the person, not for ever; the
question stands in the queue of approvals, and is answered wherever they are."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from portal.core.approvals import ApprovalRecord, AuditRecord, Extent, arguments_hash
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.recorder import whole
from portal.core.tool_ports import Approvals, Audit, CallLog
from portal.core.tools import ToolContext
from portal.core.tracing import span
from portal.errors import Forbidden

_LOOK = 2.0
"""Seconds after which the queue is looked at even so: another process may have heard the answer."""
_MOST = 10
"""Of one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What is asked."""

    kind: str
    """`sampling` or `elicitation`."""
    server: str
    arguments: JsonObject
    why: str
    question: bool
    extents: Sequence[Extent] = ("once",)


class Asides:
    """Asks people."""

    def __init__(self, *, call_log: CallLog, approvals: Approvals, audit: Audit, bus: Bus, seconds: float) -> None:
        """`seconds` is how long a call waits."""
        self._call_log = call_log
        self._approvals = approvals
        self._audit = audit
        self._bus = bus
        self._seconds = seconds
        self._asked: dict[str, int] = {}

    async def ask(self, aside: Aside, context: ToolContext) -> ApprovalRecord:
        """How it ended: `used` after a yes, `denied`, or `expired` where nobody answered in time.

        Raises:
            Forbidden: nobody can be asked, or this call has asked too often.
        """
        record = self._record(aside, context)
        subscribed, held = self._bus.subscribe(context.owner), context.held()
        with subscribed as news, held, context.span.around(), span("approval", aside.kind) as one:
            await self._call_log.ask([], [record])
            try:
                await self._tell("approval.asked", record)
                assert context.asking is not None
                context.asking(record.id)
                await self._answered(record, news)
            finally:
                ended = await whole(self._approvals.conclude(record.owner, record.id))
                one.note(decision=ended.status)
                if ended.status == "expired":
                    await whole(self._tell("approval.expired", ended))
        return ended

    def _record(self, aside: Aside, context: ToolContext) -> ApprovalRecord:
        if context.asking is None:
            raise Forbidden("Nobody can be asked here.")
        count = self._asked[context.call_id] = self._asked.pop(context.call_id, 0) + 1
        while len(self._asked) > 1000:
            del self._asked[next(iter(self._asked))]
        if count > _MOST:
            raise Forbidden(f"A call asks at most {_MOST} times.")
        now = micros()
        return ApprovalRecord(
            id=new_id("mcpr"),
            owner=context.owner,
            response_id=context.response_id,
            conversation_id=context.conversation_id,
            workspace=context.workspace,
            tool=aside.kind,
            toolset=aside.server,
            risk="read" if aside.question else "spend",
            arguments=aside.arguments,
            arguments_hash=arguments_hash(aside.kind, aside.arguments),
            why=aside.why,
            question=aside.question,
            created_at=now,
            expires_at=now + int(self._seconds * 1_000_000),
            extents=aside.extents,
            call_id=context.call_id,
        )

    async def _answered(self, record: ApprovalRecord, news: asyncio.Queue[JsonObject | None]) -> None:
        """Until it is decided, or its time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while (await self._approvals.get(record.owner, record.id)).status == "pending":
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK):
                            await news.get()

    async def _tell(self, action: str, record: ApprovalRecord) -> None:
        detail = {"tool": record.tool, "server": record.toolset, "call": record.call_id, "workspace": record.workspace}
        entry = AuditRecord(
            id=new_id("audit"), owner=record.owner, at=micros(), action=action, subject=record.id, detail=detail
        )
        await self._audit.record(entry)
        self._bus.publish(record.owner, "approvals.changed", id=record.id, status=record.status)
