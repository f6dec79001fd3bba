"""The Inbox and Outbox ports of channels: an open row is the job itself."""

from collections.abc import Sequence

from portal.core.channel_stores import Arrival, Delivery, Sent
from portal.core.channels import Place
from portal.core.clock import micros
from portal.errors import Conflict
from portal.storage.channel_rows import (
    ARRIVAL,
    DELIVERY,
    SENT,
    arrival_args,
    arrival_of,
    delivery_args,
    delivery_of,
    sent_args,
    sent_of,
    values,
)
from portal.storage.database import Database, Statement
from portal.storage.fence import Fence
from portal.storage.rows import columns

ACCEPT = f"""
INSERT INTO channel_arrivals ({ARRIVAL}) VALUES ({values(ARRIVAL)})
ON CONFLICT (channel, event_id) DO NOTHING RETURNING id"""
OPEN_ARRIVALS = f"SELECT {ARRIVAL} FROM channel_arrivals WHERE channel = :channel AND open = 1 ORDER BY id"
CLOSE_ARRIVAL = "UPDATE channel_arrivals SET open = 0 WHERE id = :arrival_id AND open = 1"
ARRIVAL_OF = f"""
SELECT {ARRIVAL} FROM channel_arrivals
WHERE channel = :channel AND chat = :chat AND message = :message_id AND id < :before ORDER BY id DESC LIMIT 1"""
NEWEST = "SELECT MAX(received_at) AS newest FROM channel_arrivals WHERE channel = :channel"

# One of a known key, or of a response that is on its way to that channel, changes nothing.
ADD = f"""
INSERT INTO channel_deliveries ({DELIVERY}) VALUES ({values(DELIVERY)}) ON CONFLICT DO NOTHING RETURNING id"""
OPEN_DELIVERIES = f"SELECT {DELIVERY} FROM channel_deliveries WHERE channel = :channel AND open = 1 ORDER BY id"
CLOSE_DELIVERY = "UPDATE channel_deliveries SET open = 0 WHERE id = :delivery_id"
MESSAGES = f"SELECT {SENT} FROM channel_messages WHERE delivery_id = :delivery_id ORDER BY position"
KEEP = f"""
INSERT INTO channel_messages ({SENT}) VALUES ({values(SENT)})
ON CONFLICT (delivery_id, position) DO UPDATE SET platform_id = excluded.platform_id"""
WITHDRAW = "DELETE FROM channel_messages WHERE delivery_id = :delivery_id AND position = :position AND platform_id = ''"
OF_RESPONSE = f"SELECT {DELIVERY} FROM channel_deliveries WHERE response_id = :response_id AND channel = :channel"
DELIVERY_OF = f"""
SELECT {columns(DELIVERY, "d")} FROM channel_messages m JOIN channel_deliveries d ON d.id = m.delivery_id
WHERE m.channel = :channel AND m.chat = :chat AND m.platform_id = :platform_id ORDER BY d.id DESC LIMIT 1"""

_D = columns(DELIVERY, "d")
OF_APPROVAL = f"""
SELECT {_D} FROM approvals a JOIN channel_deliveries d ON d.response_id = a.response_id AND d.owner = a.owner
WHERE a.id = :approval_id AND d.channel = :channel"""
# Those of the last days: an older answer in a chat is history.
FOLLOWED = f"""
SELECT {_D}, r.id AS follower FROM channel_deliveries d JOIN responses r ON r.previous_id = d.response_id
WHERE d.channel = :channel AND d.id >= :since AND d.response_id IS NOT NULL
    AND EXISTS (SELECT 1 FROM approval_rounds a WHERE a.response_id = d.response_id)
    AND NOT EXISTS (
        SELECT 1 FROM channel_deliveries n WHERE n.response_id = r.id AND n.channel = d.channel)
ORDER BY r.id"""
_DAYS = 3 * 86_400_000_000
_KEPT = 90 * 86_400_000_000
"""Microseconds for which an event is recognised, and a message known by its id."""
SWEEP_ARRIVALS = "DELETE FROM channel_arrivals WHERE id < :before AND open = 0"
SWEEP_DELIVERIES = "DELETE FROM channel_deliveries WHERE id < :before AND open = 0"


class StoredInbox:
    """The Inbox port on a Database."""

    def __init__(self, *, database: Database, fence: Fence | None = None) -> None:
        """What the one server does that holds the channels is done behind its `fence`."""
        self._database, self._fence = database, fence or Fence()

    async def accept(self, arrival: Arrival) -> bool:
        """See Inbox."""
        (rows,) = await self._database.batch([Statement(ACCEPT, arrival_args(arrival))])
        return bool(rows)

    async def open(self, channel: str) -> Sequence[Arrival]:
        """See Inbox."""
        return [arrival_of(row) for row in await self._database.fetch(OPEN_ARRIVALS, channel=channel)]

    async def finish(self, arrival_id: str, deliveries: Sequence[Delivery] = ()) -> bool:
        """See Inbox."""
        over = Conflict("This event is dealt with already.", code="arrival_done")
        close = Statement(CLOSE_ARRIVAL, {"arrival_id": arrival_id}, 1, over)
        try:
            await self._database.batch(
                [*self._fence.on_duty(), close, *(Statement(ADD, delivery_args(one)) for one in deliveries)]
            )
        except Conflict:
            return False
        return True

    async def of_message(self, place: Place, message_id: str, before: str) -> Arrival | None:
        """See Inbox."""
        rows = await self._database.fetch(
            ARRIVAL_OF, channel=place.channel, chat=place.chat, message_id=message_id, before=before
        )
        return arrival_of(rows[0]) if rows else None

    async def newest(self, channel: str) -> int:
        """See Inbox."""
        (row,) = await self._database.fetch(NEWEST, channel=channel)
        return row["newest"] or 0

    async def sweep(self, now: int | None = None) -> None:
        """Forget events that were dealt with long ago."""
        before = _id_at("arr", (now or micros()) - _KEPT)
        await self._database.batch([Statement(SWEEP_ARRIVALS, {"before": before})])


class StoredOutbox:
    """The Outbox port on a Database."""

    def __init__(self, *, database: Database, fence: Fence | None = None) -> None:
        """What the one server does that holds the channels is done behind its `fence`."""
        self._database, self._fence = database, fence or Fence()

    async def add(self, delivery: Delivery) -> bool:
        """See Outbox."""
        (rows,) = await self._database.batch([Statement(ADD, delivery_args(delivery))])
        return bool(rows)

    async def open(self, channel: str) -> Sequence[Delivery]:
        """See Outbox."""
        return [delivery_of(row) for row in await self._database.fetch(OPEN_DELIVERIES, channel=channel)]

    async def messages(self, delivery_id: str) -> Sequence[Sent]:
        """See Outbox."""
        return [sent_of(row) for row in await self._database.fetch(MESSAGES, delivery_id=delivery_id)]

    async def keep(self, place: Place, sent: Sent) -> None:
        """See Outbox."""
        await self._database.batch([*self._fence.on_duty(), Statement(KEEP, sent_args(place, sent))])

    async def withdraw(self, sent: Sent) -> None:
        """See Outbox."""
        args = {"delivery_id": sent.delivery_id, "position": sent.position}
        await self._database.batch([*self._fence.on_duty(), Statement(WITHDRAW, args)])

    async def of_response(self, channel: str, response_id: str) -> Delivery | None:
        """See Outbox."""
        rows = await self._database.fetch(OF_RESPONSE, channel=channel, response_id=response_id)
        return delivery_of(rows[0]) if rows else None

    async def finish(self, delivery_id: str) -> None:
        """See Outbox."""
        await self._database.batch([*self._fence.on_duty(), Statement(CLOSE_DELIVERY, {"delivery_id": delivery_id})])

    async def of_message(self, place: Place, platform_id: str) -> Delivery | None:
        """See Outbox."""
        rows = await self._database.fetch(DELIVERY_OF, channel=place.channel, chat=place.chat, platform_id=platform_id)
        return delivery_of(rows[0]) if rows else None

    async def of_approval(self, channel: str, approval_id: str) -> Delivery | None:
        """See Outbox."""
        rows = await self._database.fetch(OF_APPROVAL, channel=channel, approval_id=approval_id)
        return delivery_of(rows[0]) if rows else None

    async def followed(self, channel: str) -> Sequence[tuple[Delivery, str]]:
        """See Outbox."""
        rows = await self._database.fetch(FOLLOWED, channel=channel, since=_id_at("dlv", micros() - _DAYS))
        return [(delivery_of(row), row["follower"]) for row in rows]

    async def sweep(self, now: int | None = None) -> None:
        """Forget what was sent long ago."""
        before = _id_at("dlv", (now or micros()) - _KEPT)
        await self._database.batch([Statement(SWEEP_DELIVERIES, {"before": before})])


def _id_at(prefix: str, moment: int) -> str:
    """Below the ids that are made from this moment on, and above earlier ones: ids sort by their time."""
    return f"{prefix}_{moment // 1000 << 80:032x}"
