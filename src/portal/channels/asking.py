"""Which question a person in a chat answers, by a button or by what they write, and the decision that it comes to."""

from collections.abc import Sequence

from portal.channels import words
from portal.channels.delivering import aside_position
from portal.channels.questions import pressed, replied
from portal.core.agent import Agent
from portal.core.approvals import ApprovalRecord
from portal.core.channel_stores import ChatRecord, Outbox
from portal.core.channels import Message
from portal.core.ports import Conversations
from portal.core.tool_ports import Approvals
from portal.errors import Conflict, NotFound, PortalError

_MOST = 100


class Asking:
    """For one kind of channel."""

    def __init__(
        self, *, agent: Agent, approvals: Approvals, outbox: Outbox, conversations: Conversations, door: str
    ) -> None:
        self._agent = agent
        self._approvals = approvals
        self._outbox = outbox
        self._conversations = conversations
        self._door = door

    async def press(self, owner: str, action: str, value: str, *, before: bool) -> None:
        """A button was pressed; `before` that may have been dealt with already. Raises PortalError."""
        approval_id, _, more = value.partition(":")
        record = await self._approvals.get(owner, approval_id)
        try:
            await self._agent.decide(owner, {record.id: pressed(record, action, more, by=owner, door=self._door)})
        except Conflict as error:
            if error.code == "approval_decided" and not before:
                raise PortalError(words.OVER) from error

    async def tell(self, event: Message, owner: str, chat: ChatRecord) -> bool:
        """Whether it answers a question that an answer ended with. Raises PortalError."""
        asked = await self._response(event, owner, chat)
        records = await self._approvals.of_response(owner, asked) if asked else ()
        return await self._answered(event, owner, [one for one in records if one.status == "pending"])

    async def tell_aside(self, event: Message, owner: str, chat: ChatRecord) -> bool:
        """Whether it answers a question for which a call waits. Raises PortalError."""
        asked = await self._response(event, owner, chat)
        waiting = (await self._approvals.list(owner, status="pending", limit=_MOST)).data
        records = [one for one in waiting if one.call_id and one.response_id == asked]
        if event.replies_to and len(records) > 1:
            delivery = await self._outbox.of_message(event.place, event.replies_to)
            sent = await self._outbox.messages(delivery.id) if delivery else ()
            position = next((one.position for one in sent if one.platform_id == event.replies_to), -1)
            records = [one for one in records if aside_position(one) == position]
        return await self._answered(event, owner, records)

    async def _response(self, event: Message, owner: str, chat: ChatRecord) -> str | None:
        """The response whose question it may answer: as a reply to it, or the newest where nobody else talks."""
        if event.replies_to:
            delivery = await self._outbox.of_message(event.place, event.replies_to)
            return delivery.response_id if delivery else None
        if chat.conversation_id is None or not event.place.direct:
            return None
        try:
            return (await self._conversations.get(owner, chat.conversation_id)).head
        except NotFound:
            return None

    async def _answered(self, event: Message, owner: str, waiting: Sequence[ApprovalRecord]) -> bool:
        """Only where it is clear which one is meant."""
        if len(waiting) != 1 or not waiting[0].question or not event.text or waiting[0].arguments.get("url"):
            return False
        await self._agent.decide(owner, {waiting[0].id: replied(waiting[0], event.text, by=owner, door=self._door)})
        return True
