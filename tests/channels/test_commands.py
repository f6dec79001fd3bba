"""Commands: the same in every channel, whoever brings them."""

from pathlib import Path

from portal.backends.scripted import ScriptedBackend
from portal.channels import words
from portal.core.channels import COMMANDS
from portal.core.model import ModelInfo

from .conftest import Chat, open_chat
from .desk import Desk, able


async def said(chat: Chat, text: str, place: str = "") -> str:
    """What is answered to one message."""
    before = len(chat.texts(place))
    chat.write(text, place=chat.place(chat=place) if place else None)
    await chat.platform.until(lambda: len(chat.texts(place)) > before)
    return chat.texts(place)[-1]


async def test_help_names_all(chat: Chat) -> None:
    told = await said(chat, "/help")
    assert all(f"/{command.name}" in told for command in COMMANDS)
    assert await said(chat, "/HELP@portal_bot") == told


async def test_what_is_no_command_is_for_the_model(chat: Chat) -> None:
    assert await said(chat, "/etc/passwd is a file") == "/etc/passwd is a file"
    assert await said(chat, "/nothing") == "/nothing"


async def test_new_begins_another_conversation(chat: Chat) -> None:
    await said(chat, "Hello")
    assert await said(chat, "/new") == words.NEW
    await said(chat, "Hello again")
    assert len((await chat.portal.portal.storage.conversations.list(chat.portal.owner)).data) == 2


async def test_the_model_is_chosen_by_name_or_button(chat: Chat) -> None:
    assert await said(chat, "/model TINY") == words.CHOSEN.format(name="tiny")
    assert "There is no model 'huge'" in await said(chat, "/model huge")
    assert "**tiny**" in await said(chat, "/model")
    bubble = chat.bubbles()[-1]
    before = len(chat.texts())
    chat.press(bubble, "tiny")
    await chat.platform.until(lambda: len(chat.texts()) > before)
    assert chat.texts()[-1] == words.CHOSEN.format(name="tiny")
    await said(chat, "Hello")
    assert chat.backend.requests[-1].model == "tiny"


async def test_the_workspace_is_chosen(chat: Chat) -> None:
    await said(chat, "/workspace")
    chat.press(chat.bubbles()[-1], "auto-coding")
    await chat.platform.until(lambda: words.CHOSEN.format(name="auto-coding") in chat.texts())
    assert await said(chat, "/workspace auto") == words.CHOSEN.format(name="auto")


async def test_a_workspace_without_a_model_is_not_offered(tmp_path: Path) -> None:
    sees = ModelInfo(id="eye", backend="", capabilities=frozenset({"chat", "vision"}))
    for models, there in ((["tiny"], False), (["tiny", sees], True)):
        async with open_chat(tmp_path / str(there), backend=ScriptedBackend(models=models)) as chat:
            await chat.link()
            told = await said(chat, "/workspace no such")
            assert "auto-coding" in told
            assert ("auto-vision" in told) is there


async def test_memory_is_shown_to_its_person_alone(chat: Chat) -> None:
    assert await said(chat, "/memory") == words.NO_MEMORIES
    assert await said(chat, "/memory I like tea") == words.REMEMBERED
    assert await said(chat, "/memory") == "- I like tea"
    group = chat.place(chat="g1", direct=False)
    chat.write("/memory", place=group)
    await chat.until(words.MEMORY_ALONE, chat="g1")


async def test_stats_and_health(chat: Chat) -> None:
    assert await said(chat, "/stats") == words.NO_STATS
    await said(chat, "Hello")
    assert (await said(chat, "/stats")).startswith("1 answers, ")
    assert await said(chat, "/health") == f"{words.ALIVE}\ntest: up"


async def test_tools_are_shown(chat: Chat, tmp_path: Path) -> None:
    assert await said(chat, "/tools") == words.NO_TOOLS
    async with open_chat(tmp_path / "other", backend=able(), toolsets=Desk().toolsets()) as able_chat:
        await able_chat.link()
        assert "`write_note`" in await said(able_chat, "/tools")
