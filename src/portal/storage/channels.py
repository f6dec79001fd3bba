"""The Links, Pairing and Chats ports of channels."""

from collections.abc import Sequence
from dataclasses import replace

from portal.core.channel_stores import ChatRecord, LinkRecord, PairingRecord
from portal.core.channels import Place
from portal.errors import Conflict, NotFound
from portal.storage.channel_rows import (
    CHAT,
    LINK,
    PAIRING,
    chat_args,
    chat_of,
    link_args,
    link_of,
    pairing_args,
    pairing_of,
    place_args,
    values,
)
from portal.storage.database import Database, Statement
from portal.storage.people import ADMITTED
from portal.storage.rows import to_json

OF_SENDER = f"""
SELECT {LINK} FROM channel_links WHERE channel = :channel AND sender = :sender AND {ADMITTED.format(owner="owner")}"""
LINKS = f"SELECT {LINK} FROM channel_links WHERE owner = :owner ORDER BY created_at DESC, id DESC"
SETTLE = "UPDATE channel_links SET chat = :chat WHERE id = :link_id"
UNLINK = "DELETE FROM channel_links WHERE id = :link_id AND owner = :owner"

FORGET_CODES = "DELETE FROM channel_codes WHERE expires_at <= :now"
OFFER = "INSERT INTO channel_codes (code_hash, owner, expires_at) VALUES (:code_hash, :owner, :expires_at)"
OFFERED = "SELECT owner FROM channel_codes WHERE code_hash = :code_hash AND expires_at > :now"
# Of two that redeem a code at once only one finds it.
TAKE_CODE = "DELETE FROM channel_codes WHERE code_hash = :code_hash AND expires_at > :now RETURNING owner"
FORGET_LINK = "DELETE FROM channel_links WHERE channel = :channel AND sender = :sender"
INSERT_LINK = f"INSERT INTO channel_links ({LINK}) VALUES ({values(LINK)})"
FORGET_PAIRING = "DELETE FROM channel_pairings WHERE channel = :channel AND sender = :sender"

REQUEST = f"""
INSERT INTO channel_pairings ({PAIRING}) VALUES ({values(PAIRING)})
ON CONFLICT (channel, sender) DO NOTHING RETURNING id"""
PENDING = f"SELECT {PAIRING} FROM channel_pairings WHERE status = 'pending' ORDER BY created_at DESC, id DESC LIMIT 100"
FIND_PENDING = f"SELECT {PAIRING} FROM channel_pairings WHERE id = :pairing_id AND status = 'pending'"
DECIDE = "UPDATE channel_pairings SET status = :status WHERE id = :pairing_id AND status = 'pending'"

SELECT_CHAT = f"""
SELECT {CHAT} FROM channel_chats
WHERE channel = :channel AND chat = :chat AND thread = :thread AND owner = :owner"""
SAVE_CHAT = f"""
INSERT INTO channel_chats ({CHAT}) VALUES ({values(CHAT)})
ON CONFLICT (channel, chat, thread, owner) DO UPDATE SET {{changes}}"""
CHANGEABLE = ("place", "conversation_id", "model", "mode", "changed_at")
_ALL = ", ".join(f"{name} = excluded.{name}" for name in CHANGEABLE)
STILL = " WHERE COALESCE(channel_chats.conversation_id, '') = COALESCE(CAST(:was AS TEXT), '')"
IN_CHAT = f"SELECT {CHAT} FROM channel_chats WHERE channel = :channel AND chat = :chat"
LEAVE_CHAT = "DELETE FROM channel_chats WHERE channel = :channel AND chat = :chat"
SEND_ELSEWHERE = "UPDATE schedules SET targets = REPLACE(targets, :was, :now) WHERE owner = :owner"
# A room says when its threads are answered.
_MODE = """COALESCE((SELECT room.mode FROM channel_chats AS room WHERE room.channel = one.channel
    AND room.chat = one.chat AND room.thread = '' AND room.owner = one.owner), one.mode) AS mode"""
CHATS = f"""
SELECT {CHAT.replace(" mode,", f" {_MODE},")} FROM channel_chats AS one
WHERE owner = :owner ORDER BY changed_at DESC LIMIT 500"""
OF_CONVERSATION = f"""
SELECT {CHAT} FROM channel_chats WHERE conversation_id = :conversation_id AND owner = :owner ORDER BY changed_at DESC"""


class StoredLinks:
    """The Links port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def of(self, channel: str, sender: str) -> LinkRecord | None:
        """See Links."""
        rows = await self._database.fetch(OF_SENDER, channel=channel, sender=sender)
        return link_of(rows[0]) if rows else None

    async def list(self, owner: str) -> Sequence[LinkRecord]:
        """See Links."""
        return [link_of(row) for row in await self._database.fetch(LINKS, owner=owner)]

    async def settle(self, link_id: str, chat: str) -> None:
        """See Links."""
        await self._database.batch([Statement(SETTLE, {"link_id": link_id, "chat": chat})])

    async def remove(self, owner: str, link_id: str) -> None:
        """See Links."""
        missing = NotFound(f"There is no link {link_id!r}.", param="link_id")
        await self._database.batch([Statement(UNLINK, {"link_id": link_id, "owner": owner}, 1, missing)])


class StoredPairing:
    """The Pairing port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def offer(self, owner: str, code_hash: str, expires_at: int, now: int) -> None:
        """See Pairing."""
        args = {"owner": owner, "code_hash": code_hash, "expires_at": expires_at}
        await self._database.batch([Statement(FORGET_CODES, {"now": now}), Statement(OFFER, args)])

    async def redeem(self, code_hash: str, link: LinkRecord, now: int) -> LinkRecord | None:
        """See Pairing."""
        code = {"code_hash": code_hash, "now": now}
        for row in await self._database.fetch(OFFERED, **code):
            made = replace(link, owner=row["owner"])
            args, gone = link_args(made), NotFound("This code was used just now.")
            take = [Statement(TAKE_CODE, code, 1, gone), Statement(FORGET_CODES, {"now": now})]
            relink = [Statement(sql, args) for sql in (FORGET_LINK, FORGET_PAIRING, INSERT_LINK)]
            try:
                await self._database.batch([*take, *relink])
            except NotFound:
                return None
            return made
        return None

    async def request(self, pairing: PairingRecord) -> bool:
        """See Pairing."""
        (rows,) = await self._database.batch([Statement(REQUEST, pairing_args(pairing))])
        return bool(rows)

    async def pending(self) -> Sequence[PairingRecord]:
        """See Pairing."""
        return [pairing_of(row) for row in await self._database.fetch(PENDING)]

    async def decide(self, owner: str, pairing_id: str, approve: bool, link_id: str, now: int) -> PairingRecord:
        """See Pairing."""
        gone = NotFound(f"There is no open request {pairing_id!r}.", param="pairing_id")
        for row in await self._database.fetch(FIND_PENDING, pairing_id=pairing_id):
            asked = pairing_of(row)
            status = {"pairing_id": pairing_id, "status": "approved" if approve else "refused"}
            statements = [Statement(DECIDE, status, 1, gone)]
            if approve:
                place = asked.place
                made = LinkRecord(
                    id=link_id,
                    owner=owner,
                    channel=place.channel,
                    sender=asked.sender,
                    chat=place.chat if place.direct else "",
                    created_at=now,
                )
                statements += [Statement(sql, link_args(made)) for sql in (FORGET_LINK, FORGET_PAIRING, INSERT_LINK)]
            await self._database.batch(statements)
            return replace(asked, status="approved" if approve else "refused")
        raise gone


class StoredChats:
    """The Chats port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, place: Place) -> ChatRecord | None:
        """See Chats."""
        rows = await self._database.fetch(SELECT_CHAT, owner=owner, **place_args(place))
        return chat_of(rows[0]) if rows else None

    async def save(self, chat: ChatRecord, *, before: ChatRecord | None = None, still: bool = False) -> None:
        """See Chats."""
        new, old = chat_args(chat), chat_args(before) if before else {}
        changed = [name for name in CHANGEABLE if name not in old or old[name] != new[name]] or ["changed_at"]
        sql = SAVE_CHAT.format(changes=", ".join(f"{name} = excluded.{name}" for name in changed))
        args = {**new, "was": old.get("conversation_id")}
        moved = Conflict("What is said there belongs to another conversation by now.", code="chat_moved")
        await self._database.batch([Statement(sql + STILL, args, 1, moved) if still else Statement(sql, new)])

    async def move(self, channel: str, chat: str, to: str) -> None:
        """See Chats."""
        rows = await self._database.fetch(IN_CHAT, channel=channel, chat=chat)
        there = [replace(one, place=replace(one.place, chat=to)) for one in map(chat_of, rows)]
        moving = [Statement(SAVE_CHAT.format(changes=_ALL), chat_args(one)) for one in there]
        was, now = (to_json(f"{channel}:{where}") for where in (chat, to))
        sending = [
            Statement(SEND_ELSEWHERE, {"owner": owner, "was": was, "now": now})
            for owner in dict.fromkeys(one.owner for one in there)
        ]
        await self._database.batch([*moving, *sending, Statement(LEAVE_CHAT, {"channel": channel, "chat": chat})])

    async def list(self, owner: str) -> Sequence[ChatRecord]:
        """See Chats."""
        return [chat_of(row) for row in await self._database.fetch(CHATS, owner=owner)]

    async def of_conversation(self, owner: str, conversation_id: str) -> Sequence[ChatRecord]:
        """See Chats."""
        rows = await self._database.fetch(OF_CONVERSATION, owner=owner, conversation_id=conversation_id)
        return [chat_of(row) for row in rows]
