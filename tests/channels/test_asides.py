"""What a tool server asks in the middle of a call, answered in a chat while the call waits; and a model's choices."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.mcp.workshop import Workshop

from portal.channels import words
from portal.core.channels import Button
from portal.testing.channel import ALICE
from portal.testing.records import approval

from .conftest import Chat, open_chat
from .desk import Desk, able, calls, says

SIZE = {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]}
ORDER = {
    "type": "object",
    "properties": {
        "size": {**SIZE, "title": "Size"},
        "count": {"type": "integer", "title": "How many", "description": "At least one", "minimum": 1},
        "gift": {"type": "boolean"},
        "colours": {"type": "array", "items": {"enum": ["red", "blue"]}},
    },
    "required": ["size", "count"],
}

PAY = {"mode": "url", "message": "Pay.", "url": "https://pay.example/1", "elicitationId": "1"}


def form(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    workshop = Workshop(tmp_path)
    workshop.marks.mkdir()
    settings = {"mcp": {"servers": {"shop": workshop.faulty(risks={"*": "read"})}}}
    async with open_chat(tmp_path / "data", backend=able(), settings=settings) as opened:
        await opened.link()
        url, headers = opened.portal.url, {"Authorization": f"Bearer {opened.portal.key}"}
        async with aiohttp.request("POST", f"{url}/portal/v1/mcp/servers/shop/test", headers=headers) as tested:
            assert tested.status == 200
        yield opened


async def asked(chat: Chat, schema: dict[str, Any], message: str = "Which?", **fields: Any) -> Any:
    """Have the server ask; the message that does in the chat."""
    await _called(chat, {"message": message, "requestedSchema": schema}, **fields)
    place = fields["place"].chat if "place" in fields else ""
    await chat.platform.until(lambda: bool(chat.texts(place)) and message in chat.texts(place)[-1])
    return chat.bubbles(place)[-1]


async def _called(chat: Chat, params: dict[str, Any], **fields: Any) -> None:
    chat.backend.script(*calls(("shop__ask", {"method": "elicitation/create", "params": params})))
    chat.backend.script(*says("Thank you."))
    chat.write("Order something", **fields)


async def settled(chat: Chat, place: str = "") -> Any:
    """What the server was told, once the answer is there."""
    await chat.platform.until(lambda: "Thank you." in chat.texts(place))
    return json.loads(chat.backend.requests[-1].messages[-1]["content"])


def labels(bubble: Any) -> list[str]:
    return [button.label for row in bubble.said.buttons for button in row]


async def test_one_choice_is_buttons(chat: Chat) -> None:
    bubble = await asked(chat, form(size=SIZE))
    assert bubble.said.text == "**shop** asks: Which?"
    assert labels(bubble) == ["Small", "Large", "Decline"]
    chat.press(bubble, "Large")
    assert await settled(chat) == {"action": "accept", "content": {"size": "l"}}
    await chat.platform.until(lambda: bubble.said.text == words.ANSWERED)

    bubble = await asked(chat, form(sure={"type": "boolean"}), "Sure?")
    chat.press(bubble, "No")
    await chat.platform.until(lambda: chat.texts().count("Thank you.") == 2)
    assert await settled(chat) == {"action": "accept", "content": {"sure": False}}


async def test_a_form_is_filled_in_by_a_line_for_each_field(chat: Chat) -> None:
    bubble = await asked(chat, ORDER)
    lines = bubble.said.text.splitlines()
    assert "- `Size`: Small, Large" in lines
    assert "- `How many`: At least one" in lines
    assert "- `gift`: Yes, No; optional" in lines
    chat.write("2 large ones, please")
    await chat.platform.until(lambda: any("line for each field" in text for text in chat.texts()))
    chat.write("size: huge\nHow many: 2")
    await chat.platform.until(lambda: any("does not fit the form" in text for text in chat.texts()))
    chat.write("size: large\nHow many: 2\ngift: ja\ncolours: Red, blue", replies_to=bubble.id)
    content = {"size": "l", "count": 2, "gift": True, "colours": ["red", "blue"]}
    assert await settled(chat) == {"action": "accept", "content": content}


async def test_one_field_is_what_is_written_next_and_a_form_may_be_declined(chat: Chat) -> None:
    bubble = await asked(chat, form(name={"type": "string"}), "Whose name?")
    assert labels(bubble) == ["Decline"]
    chat.write("Ann: the first")
    assert await settled(chat) == {"action": "accept", "content": {"name": "Ann: the first"}}
    bubble = await asked(chat, form(name={"type": "string"}), "And then?")
    chat.press(bubble, "Decline")
    await chat.platform.until(lambda: chat.texts().count("Thank you.") == 2)
    assert await settled(chat) == {"action": "decline"}


async def test_what_may_be_left_empty_has_a_button_for_that(chat: Chat) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string", "default": "none"}, "by": {"type": "string"}}}
    bubble = await asked(chat, schema)
    chat.press(bubble, "Leave it empty")
    assert await settled(chat) == {"action": "accept", "content": {"note": "none"}}


async def test_in_a_group_a_reply_answers_and_an_address_is_not_shown(chat: Chat) -> None:
    group = chat.place(chat="g1", direct=False)
    bubble = await asked(chat, form(name={"type": "string"}), place=group)
    chat.write("by the way", place=group)  # waits until the answer is there
    chat.backend.script(*says("By the way."))
    chat.write("Ann", place=group, replies_to=bubble.id)
    await chat.platform.until(lambda: "By the way." in chat.texts("g1"))
    assert '"name": "Ann"' in chat.backend.requests[1].messages[-1]["content"]

    await _called(
        chat, {"mode": "url", "message": "Pay.", "url": "https://pay.example/1", "elicitationId": "1"}, place=group
    )
    await chat.platform.until(lambda: "Pay." in chat.texts("g1")[-1])
    assert "pay.example" not in chat.texts("g1")[-1]
    chat.press(chat.bubbles("g1")[-1], "Decline")
    await chat.platform.until(lambda: chat.texts("g1").count("Thank you.") == 2)


async def test_an_address_is_opened_by_its_person(chat: Chat) -> None:
    await _called(chat, PAY)
    await chat.platform.until(lambda: "https://pay.example/1" in "".join(chat.texts()))
    home = await chat.portal.portal.channels.home("test", ALICE)
    assert "I have been there" in [button.label for row in home.buttons for button in row]
    chat.press(chat.bubbles()[-1], "I have been there")
    assert await settled(chat) == {"action": "accept"}


async def test_a_models_choices_are_buttons(tmp_path: Path) -> None:
    async with open_chat(tmp_path, backend=able(), toolsets=Desk().toolsets()) as chat:
        await chat.link()
        for question, choices, answer in [
            ("Which colour?", ["red", "blue"], None),
            ("Which plan?", ["short", "a long one " * 8], "2"),
        ]:
            chat.backend.script(*calls(("ask_user", {"question": question, "choices": choices})))
            chat.backend.script(*says(f"So be it: {question}"))
            chat.write("Paint it")
            await chat.platform.until(lambda: bool(chat.texts()) and question in chat.texts()[-1])  # noqa: B023
            bubble = chat.bubbles()[-1]
            if answer is None:
                chat.press(bubble, "blue")
            else:
                assert "2. a long one" in bubble.said.text
                chat.write(answer)
            await chat.platform.until(lambda: f"So be it: {question}" in chat.texts())  # noqa: B023
            assert choices[1].strip() in str(chat.backend.requests[-1].messages)


async def test_of_two_calls_that_ask_a_reply_answers_the_one_it_is_to(tmp_path: Path) -> None:
    desk = Desk()
    async with open_chat(tmp_path, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        portal, owner = chat.portal.portal, chat.portal.owner
        chat.backend.script(*says("Look: "), *calls(("wait_long", {})))
        chat.backend.script(*says("It came."))
        chat.write("Wait")
        (bubble,) = await chat.until("Look:")
        response_id = bubble.button("Stop").value
        for name in ("First?", "Second?"):
            arguments = {"message": name, "form": form(name={"type": "string"})}
            common = {"owner": owner, "response_id": response_id, "toolset": "shop", "call_id": "mcp_1"}
            record = approval(**common, question=True, arguments=arguments)
            await portal.storage.call_log.ask([], [record])
            portal.bus.publish(owner, "approvals.changed", id=record.id, status="pending")
        await chat.platform.until(lambda: len(chat.texts()) == 3)
        second = next(one for one in chat.bubbles() if "Second?" in one.said.text)
        assert "Answer it on Portal's page." in (await portal.channels.home("test", ALICE)).text
        chat.write("two", replies_to=second.id)
        await chat.platform.until(lambda: second.said.text == words.ANSWERED)
        decided = (await portal.storage.approvals.list(owner, status="approved")).data
        assert [json.loads(one.answer) for one in decided] == [{"name": "two"}]
        desk.gate.set()
        await chat.platform.until(lambda: chat.texts()[0].endswith("It came."))


async def test_a_choice_that_is_none_is_refused(tmp_path: Path) -> None:
    async with open_chat(tmp_path, backend=able(), toolsets=Desk().toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("ask_user", {"question": "Which?", "choices": ["red", "blue"]})))
        chat.write("Paint it")
        await chat.platform.until(lambda: bool(chat.texts()) and "Which?" in chat.texts()[-1])
        (bubble,) = chat.bubbles()
        value = bubble.button("red").value.partition(":")[0]
        bubble.said = replace(bubble.said, buttons=[[Button(action="answer", value=f"{value}:7", label="red")]])
        chat.press(bubble, "red")
        await chat.platform.until(lambda: any("not there any more" in text for text in chat.texts()))
