"""The dry run, and past turns judged again."""

from pathlib import Path

import aiohttp
import pytest
from tests.interfaces.web.conftest import Door
from tests.routing.test_router import BIG, CODER
from tests.routing.test_second_look import Late

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import ModelInfo
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.mark.parametrize("path", ["/api/dry-run", "/portal/v1/route"])
async def test_it_says_which_model_would_answer_and_asks_none(me: Door, backend: ScriptedBackend, path: str) -> None:
    before = len(backend.requests)
    told = await me("POST", path, {"model": "auto", "messages": HELLO})
    wanted = "requested_model resolved_model reason task difficulty needs tools candidates ms"
    assert set(wanted.split()) <= told.keys()
    assert (told["requested_model"], told["resolved_model"]) == ("auto", "tiny")
    assert told["candidates"][0].keys() == {"model", "backend", "score", "why"}
    assert told["needs"] == ["chat"]
    assert len(backend.requests) == before


async def test_what_is_sent_along_counts(me: Door) -> None:
    told = await me("POST", "/api/dry-run", {"messages": HELLO, "tools": [TOOL], "temperature": 1})
    assert (told["needs"], told["tools"]) == (["chat", "tools"], ["look"])
    named = await me("POST", "/api/dry-run", {"messages": [{"role": "user", "content": "@model:tiny Hello"}]})
    assert (named["requested_model"], named["reason"]) == ("tiny", "asked for by name")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "auto"}, 400, "messages"),
        ({"model": "auto", "messages": []}, 400, "messages"),
        ({"model": "auto", "messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content"),
        ({"model": 7, "messages": HELLO}, 400, "model"),
        ({"model": "tinny", "messages": HELLO}, 404, "model"),
    ],
)
async def test_a_bad_request_names_its_fault(me: Door, body: dict[str, object], status: int, param: str) -> None:
    assert (await me.refused("POST", "/api/dry-run", body, status=status))["param"] == param


async def test_a_body_that_does_not_say_that_it_is_json_is_told_to(me: Door) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}  # as curl sends it without a header
    async with me.client.post("/api/dry-run", data=b'{"model": "auto"}', headers=form) as answer:
        assert answer.status == 400
        assert "`Content-Type: application/json`" in (await answer.json())["error"]["message"]


async def test_past_turns_are_judged_by_the_present_rules(me: Door, stranger: Door) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    parts = [{"type": "input_text", "text": "What is this?"}, image]
    liked = await me.respond("What is a monad?", model="auto")
    await me("PUT", f"/portal/v1/responses/{liked['id']}/feedback", {"rating": 1})
    await me.respond([{"role": "user", "content": parts}])
    rows = (await me("GET", "/portal/v1/route/replay?limit=2"))["data"]
    assert [row["text"] for row in rows] == ["What is this?", "What is a monad?"]
    assert (rows[1]["feedback"], rows[1]["now"]["resolved_model"], rows[1]["changed"]) == (1, "tiny", False)
    assert rows[1]["then"]["requested_model"] == "auto"
    assert (await stranger("GET", "/portal/v1/route/replay"))["data"] == []


async def test_past_turns_are_judged_as_a_request_would_be(tmp_path: Path) -> None:
    """Behind the turns before them, by their meaning where the words leave it open, with the tools they brought."""
    calls = ModelInfo(id="calls", backend="", parameters=10**9, capabilities=frozenset({"chat", "tools"}))
    backend = ScriptedBackend(models=[BIG, CODER, calls], default=echo)
    settings = {
        "classifier": {"enabled": True},
        "workspaces": {"auto-coding": {"task": "coding", "prefer": ["coder*"]}},
    }
    async with (
        open_test_portal(tmp_path / "data", backends=[backend], settings=settings, embedder=Late()) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        me = Door(client)
        tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
        await me.respond("turn this around", model="auto")
        poem = await me.respond("Write a poem about autumn", model="auto")
        await me.respond("and now in Spanish", model="auto", previous_response_id=poem["id"])
        await me.respond("What stands in my notes?", model="auto", tools=[tool])
        asked = len(backend.requests)
        rows = (await me("GET", "/portal/v1/route/replay?limit=4"))["data"]
        assert len(backend.requests) == asked
    notes, spanish, autumn, around = rows
    assert (around["then"]["task"] != "coding", around["now"]["task"]) == (True, "coding")
    assert (around["now"]["resolved_model"], around["changed"]) == ("coder:7b", True)
    assert "by its meaning" in around["now"]["reason"]
    assert (autumn["now"]["task"], spanish["now"]["task"]) == ("creative", "creative")
    assert (notes["now"]["resolved_model"], notes["changed"]) == ("calls", False)
