"""A Portal in a process of its own, on a platform that is reached by HTTP: to be killed.

Arguments: data folder, the platform's address, a database or an empty word, and whether messages can be found by their
nonce (`finds`) or not (`blind`).
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.channels import Attachment, Desk, Limits, Message, Outgoing, Place, Sender
from portal.core.model import ModelRequest, TextDelta
from portal.errors import ChannelError
from portal.testing.portal import open_test_portal

ANSWER = [f"word{number} " for number in range(40)]


class HttpChannel:
    """Polls for what people write, and acknowledges it once it is stored."""

    name = kind = "wire"
    limits = Limits(interval=0.02, per_second=1000, typing=0)

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.linked = asyncio.Event()

    async def run(self, desk: Desk) -> None:
        await self.linked.wait()
        while True:
            for told in (await self._call("GET", "/updates"))["data"]:
                place = Place(channel=self.name, chat=told["chat"])
                message = Message(
                    event_id=told["id"], id=told["id"], text=told["text"], place=place, sender=Sender(id="alice")
                )
                await desk.accept(message)
                await self._call("POST", f"/acknowledged/{told['id']}")
            desk.alive()

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        made: str = (await self._call("POST", f"/send/{place.chat}", text=outgoing.text, nonce=nonce))["id"]
        return made

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        await self._call("POST", f"/edit/{message_id}", text=outgoing.text)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        raise ChannelError("There are no files.")
        yield b""

    async def _call(self, method: str, path: str, **body: str) -> dict[str, object]:
        try:
            async with self._session.request(method, path, json=body or None) as answer:
                told: dict[str, object] = await answer.json()
                return told
        except aiohttp.ClientError as error:
            raise ChannelError(f"Not reached: {error}") from error


class FindingChannel(HttpChannel):
    """Its platform keeps the nonces."""

    async def find(self, place: Place, nonce: str, after: int) -> str | None:
        found = (await self._call("POST", "/find", nonce=nonce))["id"]
        return str(found) if found else None


class SlowBackend(ScriptedBackend):
    """Answers word by word."""

    async def stream(self, request: ModelRequest):  # type: ignore[no-untyped-def, override]
        async for event in super().stream(request):
            await asyncio.sleep(0.003)
            yield event


def answer(request: ModelRequest) -> Sequence[Step]:
    said = request.messages[-1]["content"]
    text = said if isinstance(said, str) else said[0]["text"]
    return [TextDelta(f"{text}: "), *(TextDelta(word) for word in ANSWER)]


async def main(folder: str, address: str, database: str, kind: str) -> None:
    async with aiohttp.ClientSession(address) as session:
        channel = (FindingChannel if kind == "finds" else HttpChannel)(session)
        backend = SlowBackend(models=["tiny"], default=answer)
        settings = {"database": database} if database else {}
        async with open_test_portal(Path(folder), backends=[backend], channels=[channel], settings=settings) as portal:
            code, _ = await portal.portal.channels.linking.offer(portal.owner)
            await portal.portal.channels.linking.redeem(Place(channel="wire", chat="c1"), Sender(id="alice"), code)
            channel.linked.set()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
