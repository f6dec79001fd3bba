"""Who is who: codes that work once, refusal that is polite, and requests that the owner decides."""

import pytest

from portal.channels import words
from portal.channels.linking import CODE_MINUTES, Linking
from portal.core.bus import Bus
from portal.core.channels import Content, Place, Sender
from portal.errors import NotFound
from portal.storage.open import Storage

from .conftest import Chat

BOB = Sender(id="bob", name="Bob")


async def test_a_stranger_is_refused_politely_and_let_in_by_the_owner(chat: Chat) -> None:
    channels, owner = chat.portal.portal.channels, chat.portal.owner
    place = chat.place(chat="c2")
    chat.write("Hello", sender=BOB, place=place)
    await chat.until(words.STRANGER, chat="c2")
    chat.write("Hello?", sender=BOB, place=place)
    await chat.until(words.STRANGER, words.STRANGER_AGAIN, chat="c2")
    (asked,) = await channels.pairing.pending()
    assert asked.sender == BOB
    await channels.approve(owner, asked.id, True)
    await chat.until(words.STRANGER, words.STRANGER_AGAIN, words.LINKED, chat="c2")
    chat.write("Now", sender=BOB, place=place)
    await chat.until(words.STRANGER, words.STRANGER_AGAIN, words.LINKED, "Now", chat="c2")
    assert await channels.pairing.pending() == []
    with pytest.raises(NotFound):
        await channels.approve(owner, asked.id, True)


async def test_a_refused_request_stays_refused(chat: Chat) -> None:
    channels, place = chat.portal.portal.channels, chat.place(chat="c2")
    chat.write("Hello", sender=BOB, place=place)
    await chat.until(words.STRANGER, chat="c2")
    (asked,) = await channels.pairing.pending()
    await channels.approve(chat.portal.owner, asked.id, False)
    chat.write("Hello?", sender=BOB, place=place)
    await chat.until(words.STRANGER, words.STRANGER_AGAIN, chat="c2")
    assert await channels.pairing.pending() == []
    code, _ = await channels.linking.offer(chat.portal.owner)
    chat.write(f"/start {code.lower()}", sender=BOB, place=place)
    await chat.until(words.STRANGER, words.STRANGER_AGAIN, words.LINKED, chat="c2")


async def test_a_code_works_once(chat: Chat) -> None:
    code, _ = await chat.portal.portal.channels.linking.offer(chat.portal.owner)
    place = chat.place(chat="c2")
    chat.write(f"/link {code}", sender=BOB, place=place)
    await chat.until(words.LINKED, chat="c2")
    chat.write(f"/link {code}", sender=Sender(id="eve"), place=chat.place(chat="c3"))
    await chat.until(words.BAD_CODE, chat="c3")
    chat.write("/link", sender=BOB, place=place)
    await chat.until(words.LINKED, words.LINKED_ALREADY, chat="c2")
    chat.write("/start", sender=BOB, place=place)
    await chat.until(words.LINKED, words.LINKED_ALREADY, words.WELCOME, chat="c2")


async def test_who_is_unlinked_is_a_stranger(chat: Chat) -> None:
    storage, owner = chat.portal.portal.storage, chat.portal.owner
    (link,) = await storage.links.list(owner)
    assert link.chat == "c1"
    await storage.links.remove(owner, link.id)
    chat.write("Hello")
    await chat.until(words.STRANGER)


async def test_guessing_codes_has_an_end(chat: Chat) -> None:
    place = chat.place(chat="c2")
    for _ in range(6):
        chat.write("/link AAAA-BBBB", sender=BOB, place=place)
    await chat.until(*[words.BAD_CODE] * 5, words.TOO_MANY, chat="c2")


async def test_a_code_grows_old(chat: Chat) -> None:
    now = 1_000_000_000_000_000
    storage: Storage = chat.portal.portal.storage
    linking = Linking(links=storage.links, pairing=storage.pairing, bus=Bus(), now=lambda: now)
    code, until = await linking.offer(chat.portal.owner)
    assert until == now + CODE_MINUTES * 60_000_000
    now = until
    said = await linking.redeem(Place(channel="test", chat="c2"), BOB, code)
    assert said == Content(text=words.BAD_CODE)
    await linking.offer(chat.portal.owner)
    kept = await storage.database.fetch("SELECT expires_at FROM channel_codes")
    assert [row["expires_at"] for row in kept] == [now + CODE_MINUTES * 60_000_000]


async def test_buttons_of_strangers_do_nothing(chat: Chat) -> None:
    chat.write("Hello")
    (bubble,) = await chat.until("Hello")
    await chat.platform.until(lambda: bubble.said.buttons[0][0].label == "↻")
    chat.press(bubble, "↻", sender=BOB)
    chat.write("Next")
    await chat.until("Hello", "Next")
