"""Who is who: one-time codes, and requests of people that nobody knows yet."""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable

from portal.channels import words
from portal.core.bus import Bus
from portal.core.channel_stores import LinkRecord, Links, Pairing, PairingRecord
from portal.core.channels import Content, Message, Place, Sender
from portal.core.clock import micros
from portal.core.ids import new_id

_SIGNS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH = 8
_MINUTE = 60_000_000
CODE_MINUTES = 15
_TRIES = 5
_CODE = re.compile(r"/(?:link|start)(?:@\w+)?\s+(\S+)\s*", re.IGNORECASE)


class Linking:
    """Makes and redeems codes, and keeps requests."""

    def __init__(self, *, links: Links, pairing: Pairing, bus: Bus, now: Callable[[], int] = micros) -> None:
        self._links = links
        self._pairing = pairing
        self._bus = bus
        self._now = now
        self._wrong: Counter[tuple[str, str, int]] = Counter()

    async def offer(self, owner: str) -> tuple[str, int]:
        """A new code, and until when it is good, in microseconds UTC. Only its hash is kept."""
        code = "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH))
        now = self._now()
        until = now + CODE_MINUTES * _MINUTE
        await self._pairing.offer(owner, _hashed(code), until, now)
        return f"{code[:4]}-{code[4:]}", until

    async def greet(self, message: Message) -> Content:
        """What a stranger is told, whose code is redeemed or who is put before the owner."""
        said = _CODE.fullmatch(message.text.strip())
        if said is not None:
            return await self.redeem(message.place, message.sender, said[1])
        pairing = PairingRecord(id=new_id("pair"), place=message.place, sender=message.sender, created_at=self._now())
        new = await self._pairing.request(pairing)
        if new:
            self._bus.publish(None, "channels.changed")
        return Content(text=words.STRANGER if new else words.STRANGER_AGAIN)

    async def redeem(self, place: Place, sender: Sender, code: str) -> Content:
        """Link an account by a code. One that guesses has to stop for an hour."""
        now = self._now()
        guesser = (place.channel, sender.id, now // (60 * _MINUTE))
        if self._wrong[guesser] >= _TRIES:
            return Content(text=words.TOO_MANY)
        link = LinkRecord(
            id=new_id("link"),
            owner="",
            channel=place.channel,
            sender=sender,
            chat=place.chat if place.direct else "",
            created_at=now,
        )
        made = await self._pairing.redeem(_hashed(code), link, now)
        if made is None:
            self._wrong = Counter({one: count for one, count in self._wrong.items() if one[2] == guesser[2]})
            self._wrong[guesser] += 1
            return Content(text=words.BAD_CODE)
        self._bus.publish(made.owner, "channels.changed")
        return Content(text=words.LINKED)


def _hashed(code: str) -> str:
    plain = re.sub(r"[^A-Z0-9]", "", code.upper())
    return hashlib.sha256(f"channel-code:{plain}".encode()).hexdigest()
