"""Schedules and a chat platform: answers that come there, and questions that are decided there."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from tests.channels.conftest import Chat, open_chat
from tests.e2e.tool_desk import Desk, able, calls
from tests.schedules.conftest import answer

from portal.errors import ChannelGone


async def api(chat: Chat, method: str, path: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession(chat.portal.url, headers=chat.portal.headers) as client:
        return await (await client.request(method, path, json=body)).json()


async def newest(chat: Chat, status: str) -> Any:
    """The newest run, once it has this status and its answers are out."""
    while True:
        (run, *_) = (await api(chat, "GET", "/portal/v1/schedules/News/runs"))["data"]
        if run["status"] == status and all(one["status"] == "sent" for one in run["deliveries"]):
            return run
        await asyncio.sleep(0.01)


async def make(chat: Chat) -> Any:
    fields = {"name": "News", "when": "every weekday at 8:00", "prompt": "Tell me the news", "targets": ["test"]}
    made = await api(chat, "POST", "/portal/v1/schedules", fields)
    assert made["targets"] == ["test"], made
    return made


async def test_the_answer_comes_to_the_chat_once(tmp_path: Path) -> None:
    backend = able()
    backend.default = answer
    async with open_chat(tmp_path, backend=backend) as chat:
        targets = (await api(chat, "GET", "/portal/v1/schedules/targets"))["data"]
        assert [one["name"] for one in targets] == ["page"]
        await chat.link()
        targets = (await api(chat, "GET", "/portal/v1/schedules/targets"))["data"]
        assert [one["name"] for one in targets] == ["page", "test"]
        await make(chat)
        await api(chat, "POST", "/portal/v1/schedules/News/run")
        await chat.until("**News**\n\nAs asked.")
        run = await newest(chat, "completed")
        assert [one["target"] for one in run["deliveries"]] == ["test"]


async def test_a_reply_to_an_answer_goes_on_with_its_conversation(tmp_path: Path) -> None:
    backend = able()
    backend.default = answer
    async with open_chat(tmp_path, backend=backend) as chat:
        await chat.link()
        await make(chat)
        await api(chat, "POST", "/portal/v1/schedules/News/run")
        await chat.until("**News**\n\nAs asked.")
        run = await newest(chat, "completed")
        chat.write("Tell me more", replies_to=chat.bubbles()[-1].id)
        await chat.until("**News**\n\nAs asked.", "As asked.")
        turns = await chat.portal.portal.storage.conversations.turns(chat.portal.owner, run["conversation_id"])
        assert len(turns.data) == 2
        assert "Tell me the news" in str(backend.requests[-1].messages)


async def test_an_answer_that_the_platform_refuses_is_in_the_history(tmp_path: Path) -> None:
    backend = able()
    backend.default = answer
    async with open_chat(tmp_path, backend=backend) as chat:
        await chat.link()
        await make(chat)
        chat.platform.fail = lambda call, name: ChannelGone("The bot was blocked.") if call == "send" else None
        await api(chat, "POST", "/portal/v1/schedules/News/run")
        while True:
            (run,) = (await api(chat, "GET", "/portal/v1/schedules/News/runs"))["data"]
            if any(one["status"] == "failed" for one in run["deliveries"]):
                break
            await asyncio.sleep(0.01)
        assert [(one["target"], one["error"]) for one in run["deliveries"]] == [("test", "The bot was blocked.")]
        assert run["status"] == "completed"


async def test_a_question_is_decided_in_the_chat(tmp_path: Path) -> None:
    backend, desk = able(), Desk()
    backend.default = answer
    async with open_chat(tmp_path, backend=backend, toolsets=desk.toolsets()) as chat:
        await chat.link()
        await make(chat)
        backend.script(*calls(("write_note", '{"path": "a"}')))
        await api(chat, "POST", "/portal/v1/schedules/News/run")
        await newest(chat, "waiting")
        await chat.platform.until(lambda: any("Allow write_note" in text for text in chat.texts()))
        chat.press(chat.bubbles()[-1], "Allow")
        await newest(chat, "completed")
        await chat.until("**News** asks:", "✅ Allowed: **write_note**", "As asked.")
        assert [path for path, *_ in desk.done] == ["a"]
