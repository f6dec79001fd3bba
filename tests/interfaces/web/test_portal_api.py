import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest

from portal import __version__
from portal.backends.scripted import CUT, ScriptedBackend
from portal.core.model import TextDelta
from portal.storage.database import Statement
from portal.testing.portal import TestPortal

from .conftest import Door, unnumbered

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def conversation(me: Door, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = await me("POST", "/portal/v1/conversations", fields, 201)
    return made


# ------------------------------------------------------------------ conversations


async def test_a_conversations_life(me: Door) -> None:
    made = await conversation(me, title="Cats", model="tiny")
    assert (made["title"], made["title_source"], made["head"], made["running"]) == ("Cats", "user", None, None)
    assert isinstance(made["created_at"], float)
    one = f"/portal/v1/conversations/{made['id']}"
    assert await me("GET", one) == made
    changed = await me("PATCH", one, {"title": "Dogs", "pinned": True, "model": None})
    assert (changed["title"], changed["pinned"], changed["model"]) == ("Dogs", True, None)
    listed = await me("GET", "/portal/v1/conversations?limit=1")
    assert listed["data"][0]["id"] == made["id"]
    assert await me("POST", "/portal/v1/conversations/delete", {"ids": [made["id"], "conv_none"]}) == {
        "ids": [made["id"]]
    }
    await me.refused("GET", one, status=404)
    assert await me("POST", "/portal/v1/conversations/restore", {"ids": [made["id"]]}) == {"ids": [made["id"]]}
    assert (await me("GET", one))["title"] == "Dogs"
    assert await me("PATCH", one, {}) == await me("GET", one)


async def test_pages_and_search(me: Door) -> None:
    for number in range(5):
        await conversation(me, title=f"Zebra {number}")
    seen: list[str] = []
    cursor = ""
    while True:
        page = await me("GET", f"/portal/v1/conversations?limit=2&q=zebra{cursor}")
        seen += [row["title"] for row in page["data"]]
        assert page["has_more"] is (page["next"] is not None)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == [f"Zebra {number}" for number in range(5)]
    error = await me.refused("GET", f"/portal/v1/conversations?limit=2{cursor}", status=400)
    assert error["param"] == "cursor"


async def test_turns_branches_and_feedback(me: Door) -> None:
    made = await conversation(me)
    first = await me.respond("one two", conversation=made["id"])
    second = await me.respond("three", conversation=made["id"])
    other = await me.respond("four", conversation=made["id"], previous_response_id=first["id"])
    turns = await me("GET", f"/portal/v1/conversations/{made['id']}/turns?limit=1")
    (turn,) = turns["data"]
    assert turn["response"] == other
    assert turn["siblings"] == [second["id"], other["id"]]
    assert turn["input"][0]["content"][0]["text"] == "four"
    assert turn["route"]["resolved_model"] == "tiny"
    assert turn["ms"] >= 0
    assert turn["last_seq"] > 3
    assert turn["feedback"] == 0
    above = await me("GET", f"/portal/v1/conversations/{made['id']}/turns?before={turns['next']}")
    assert [turn["response"]["id"] for turn in above["data"]] == [first["id"]]
    assert above["next"] is None
    answer = f"/portal/v1/responses/{other['id']}"
    assert await me("PUT", f"{answer}/feedback", {"rating": -1}) == {"rating": -1}
    assert (await me("GET", f"/portal/v1/conversations/{made['id']}/turns"))["data"][-1]["feedback"] == -1
    assert await me("GET", f"{answer}/route") == turn["route"]
    back = await me("PATCH", f"/portal/v1/conversations/{made['id']}", {"head": second["id"]})
    assert back["head"] == second["id"]


async def test_deleting_conversations_stops_what_runs_in_them(me: Door, backend: ScriptedBackend) -> None:
    made = await conversation(me, title="kept")
    backend.script(TextDelta("Hel"), asyncio.Event())
    begun = await me.respond("go", conversation=made["id"], background=True)
    await me("POST", "/portal/v1/conversations/delete", {"ids": [made["id"]]})
    assert (await me("GET", f"/v1/responses/{begun['id']}"))["status"] == "cancelled"
    await backend.wait_running(0)


async def test_a_running_turn_is_shown_as_far_as_it_came(me: Door, backend: ScriptedBackend) -> None:
    made = await conversation(me, title="kept")
    gate = asyncio.Event()
    backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
    begun = await me.respond("go", conversation=made["id"], background=True)
    assert begun["status"] == "in_progress"
    path = f"/v1/responses/{begun['id']}?stream=true&portal_events=1"
    async with me.client.get(path) as stream:
        async for line in stream.content:
            if line.startswith(b"data:") and b"output_text.delta" in line:
                break
    assert (await me("GET", f"/portal/v1/conversations/{made['id']}"))["running"] == begun["id"]
    (turn,) = (await me("GET", f"/portal/v1/conversations/{made['id']}/turns"))["data"]
    assert turn["response"]["status"] == "in_progress"
    assert turn["response"]["output"][0]["content"][0]["text"] == "Hel"
    gate.set()
    async with me.client.get(f"{path}&starting_after={turn['last_seq']}") as stream:
        frames = [frame for frame in (await stream.text()).split("\n\n") if frame.startswith("event")]
    events = [json.loads(frame.split("data: ", 1)[1]) for frame in frames]
    assert "".join(event.get("delta", "") for event in events) == "lo"
    assert events[-1]["type"] == "response.completed"
    assert (await me("GET", f"/portal/v1/conversations/{made['id']}"))["running"] is None


async def test_a_failed_turn_is_shown_with_its_error(me: Door, backend: ScriptedBackend) -> None:
    made = await conversation(me, title="kept")
    backend.script(TextDelta("Hel"), CUT)
    await me.respond("go", conversation=made["id"])
    (turn,) = (await me("GET", f"/portal/v1/conversations/{made['id']}/turns"))["data"]
    assert turn["response"]["status"] == "failed"
    assert turn["response"]["error"]["code"] == "backend_interrupted"
    assert turn["estimated_usage"] is True


async def test_folders(me: Door) -> None:
    made = await me("POST", "/portal/v1/folders", {"name": "Work", "instructions": "Be brief."}, 201)
    one = f"/portal/v1/folders/{made['id']}"
    assert made in (await me("GET", "/portal/v1/folders"))["data"]
    changed = await me("PUT", one, {"name": "Play", "model": "tiny"})
    assert (changed["name"], changed["instructions"], changed["created_at"]) == ("Play", "", made["created_at"])
    assert await me("GET", one) == changed
    inside = [(await conversation(me, title=f"in {n}", folder_id=made["id"]))["id"] for n in range(2)]
    outside = await conversation(me, title="out")
    moved = [outside["id"], inside[0]]
    await me("POST", "/portal/v1/conversations/move", {"ids": moved, "folder_id": made["id"]})
    found = await me("GET", f"/portal/v1/conversations?folder={made['id']}")
    assert {row["id"] for row in found["data"]} == {*inside, outside["id"]}
    for wrong in ({"ids": [inside[0], "conv_none"], "folder_id": None}, {"ids": [inside[0]], "folder_id": "fold_none"}):
        await me.refused("POST", "/portal/v1/conversations/move", wrong, status=404)
    assert (await me("GET", f"/portal/v1/conversations/{inside[0]}"))["folder_id"] == made["id"]
    await me("POST", "/portal/v1/conversations/move", {"ids": inside, "folder_id": None})
    assert (await me("GET", f"/portal/v1/conversations/{inside[1]}"))["folder_id"] is None
    assert (await me("DELETE", one))["deleted"] is True
    assert (await me("GET", f"/portal/v1/conversations/{outside['id']}"))["folder_id"] is None
    await me.refused("GET", one, status=404)


# ------------------------------------------------------------------ the person


async def test_me_and_preferences(me: Door, portal: TestPortal) -> None:
    found = await me("GET", "/portal/v1/me")
    assert (found["version"], found["guide_model"]) == (__version__, "portal-guide")
    assert found["api_base"] == f"{portal.url}/v1"
    assert found["limits"]["max_body"] < found["limits"]["max_upload"]
    assert await me("PUT", "/portal/v1/preferences", {"theme": "dark"}) == {"theme": "dark"}
    assert (await me("GET", "/portal/v1/me"))["user"]["preferences"] == {"theme": "dark"}
    await me.refused("PUT", "/portal/v1/preferences", {"x": 2**70}, status=400)
    error = await me.refused("PUT", "/portal/v1/preferences", {"x": "y" * 2**16}, status=413)
    assert error["code"] == "request_too_large"
    assert (await me("GET", "/portal/v1/me"))["user"]["preferences"] == {"theme": "dark"}


async def test_keys_links_sessions_and_signing_out(me: Door, portal: TestPortal) -> None:
    made = await me("POST", "/portal/v1/keys", {"name": "phone"}, 201)
    (listed,) = [row for row in (await me("GET", "/portal/v1/keys"))["data"] if row["id"] == made["id"]]
    assert "key" not in listed
    assert listed["hint"] == made["key"][-4:]
    assert (await me.refused("POST", "/portal/v1/keys", {"name": "phone"}, status=409))["param"] == "name"
    assert (await me.refused("POST", "/portal/v1/keys", {"name": " "}, status=400))["param"] == "name"
    link = await me("POST", "/portal/v1/links", status=201)
    assert link["url"].startswith(f"{portal.url}/sign-in?token=")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers={"Origin": portal.url, "User-Agent": "Tester"}) as page:
        async with page.get(link["url"]) as answer:
            assert (answer.status, answer.url.path) == (200, "/")
        async with page.get(f"{portal.url}/portal/v1/sessions") as answer:
            (session,) = (await answer.json())["data"]
        assert (session["name"], session["current"]) == ("Tester", True)
        async with page.post(f"{portal.url}/portal/v1/sign-out") as answer:
            assert answer.status == 200
            assert "portal_session" in answer.headers["set-cookie"]
        async with page.get(f"{portal.url}/portal/v1/me", headers={"Cookie": "portal_session=x"}) as answer:
            assert answer.status == 401
    assert (await me("GET", "/portal/v1/sessions"))["data"] == []
    assert (await me("POST", "/portal/v1/sign-out")) == {"signed_out": True}  # a key signs nobody out
    await me("GET", "/portal/v1/me")
    await me("DELETE", f"/portal/v1/keys/{made['id']}")
    await me.refused("DELETE", f"/portal/v1/keys/{made['id']}", status=404)


async def test_usage(me: Door) -> None:
    await me.respond("count me", store=False)
    (row,) = [row for row in (await me("GET", "/portal/v1/usage?days=1"))["data"] if row["model"] == "tiny"]
    assert row["calls"] >= 1
    assert row["output_tokens"] >= 2
    for days in ("0", "x", "99999"):
        assert (await me.refused("GET", f"/portal/v1/usage?days={days}", status=400))["param"] == "days"


async def test_changes_are_told_to_whom_they_concern(me: Door, stranger: Door) -> None:
    async with me.client.get("/portal/v1/events") as mine, stranger.client.get("/portal/v1/events") as theirs:
        assert await mine.content.readline() == b": connected\n"
        assert await theirs.content.readline() == b": connected\n"
        made = await conversation(me, title="Heard")
        other = (await stranger("POST", "/portal/v1/conversations", {"title": "Theirs"}, 201))["id"]
        await me("POST", "/portal/v1/conversations/delete", {"ids": [made["id"]]})
        assert await _next(mine) == {"type": "conversation.changed", "id": made["id"]}
        assert await _next(mine) == {"type": "conversation.deleted", "id": made["id"]}
        assert await _next(theirs) == {"type": "conversation.changed", "id": other}


async def _next(stream: aiohttp.ClientResponse) -> Any:
    async for line in stream.content:
        if line.startswith(b"data: "):
            return unnumbered(json.loads(line.removeprefix(b"data: ")))
    raise AssertionError("the stream ended")


# ------------------------------------------------------------------ models and manual


async def test_models_and_servers(me: Door) -> None:
    found = await me("GET", "/portal/v1/models")
    (tiny,) = [model for model in found["data"] if model["id"] == "tiny"]
    assert (tiny["backend"], tiny["kind"]) == ("scripted", "scripted")
    assert "chat" in tiny["capabilities"]
    assert found["auto"]["model"]
    assert {row["name"]: row["status"] for row in found["backends"]}["scripted"] == "up"
    assert (await me("POST", "/portal/v1/models/refresh")).keys() == found.keys()
    body = {"kind": "openai_compatible", "url": "http://127.0.0.1:9", "name": "mine", "api_key": "secret-secret"}
    added = await me("POST", "/portal/v1/backends", body, 201)
    assert (added["name"], added["status"], added["source"]) == ("mine", "down", "page")
    assert "secret-secret" not in json.dumps(await me("GET", "/portal/v1/models"))
    assert (await me.refused("POST", "/portal/v1/backends", body, status=409))["param"] == "name"
    await me("DELETE", "/portal/v1/backends/mine")
    await me.refused("DELETE", "/portal/v1/backends/mine", status=404)
    assert "settings" in (await me.refused("DELETE", "/portal/v1/backends/scripted", status=409))["message"]
    for wrong in ({"kind": "none", "url": "http://x"}, {"kind": "ollama", "url": "ftp://x"}):
        await me.refused("POST", "/portal/v1/backends", wrong, status=400)


async def test_services_are_known_by_name(me: Door) -> None:
    known = {row["name"]: row for row in (await me("GET", "/portal/v1/backends/presets"))["data"]}
    assert known["openrouter"]["cloud"]
    assert known["openrouter"]["url"].startswith("https://")
    assert not known["lmstudio"]["cloud"]
    body = {"kind": "lmstudio", "url": "http://127.0.0.1:9", "api_key": "k"}
    added = await me("POST", "/portal/v1/backends", body, 201)
    assert (added["name"], added["kind"]) == ("lmstudio", "openai_compatible")
    await me("DELETE", "/portal/v1/backends/lmstudio")
    clouds = {name for name, row in known.items() if row["cloud"]}
    assert clouds == {"openai", "openrouter", "groq", "mistral", "deepseek", "together", "gemini", "xai"}


@pytest.mark.parametrize(
    ("kind", "port"), [("lmstudio", 1234), ("llamacpp", 8080), ("vllm", 8000), ("mlx", 8080), ("localai", 8080)]
)
async def test_a_program_of_this_machine_needs_no_address(me: Door, kind: str, port: int) -> None:
    added = await me("POST", "/portal/v1/backends", {"kind": kind}, 201)
    assert (added["name"], added["url"]) == (kind, f"http://127.0.0.1:{port}/v1")
    await me("DELETE", f"/portal/v1/backends/{kind}")


async def test_the_manual(me: Door) -> None:
    pages = (await me("GET", "/portal/v1/manual"))["pages"]
    assert pages
    page = await me("GET", f"/portal/v1/manual/{pages[0]['id']}")
    assert page["markdown"].strip()
    assert {**page, "markdown": ""} == {**pages[0], "markdown": ""}
    await me.refused("GET", "/portal/v1/manual/nowhere", status=404)
    telegram = (await me("GET", "/portal/v1/manual/telegram"))["markdown"]
    (address, *_) = re.findall(r"\]\((/portal/v1/manual/pictures/[^)]+)\)", telegram)
    async with me.client.get(address) as picture:
        assert (picture.status, picture.content_type) == (200, "image/png")
    await me.refused("GET", "/portal/v1/manual/pictures/nothing.png", status=404)
    await me.refused("GET", "/portal/v1/manual/pictures/..%2Fapi.md", status=404)


async def test_the_embedded_engine_says_what_it_needs(me: Door) -> None:
    found = await me("GET", "/portal/v1/embedded")
    assert {"installed", "building", "needs", "models", "pulls"} <= found.keys()
    await me.refused("DELETE", "/portal/v1/pulls/pull_none", status=404)
    await me.refused("POST", "/portal/v1/pulls", {"source": "a/b/c.gguf", "sha256": "short"}, status=400)


# ------------------------------------------------------------------ bad input

BAD: list[tuple[str, str, Any, str | None, str | None]] = [
    ("POST", "/conversations", {"titel": "x"}, "titel", "unknown_parameter"),
    ("POST", "/conversations", {"title": 5}, "title", "invalid_type"),
    ("POST", "/conversations", {"title": "x" * 301}, "title", "string_above_max_length"),
    ("POST", "/conversations", [], None, None),
    ("POST", "/conversations", None, None, None),
    ("POST", "/conversations/delete", {}, "ids", "missing_required_parameter"),
    ("POST", "/conversations/delete", {"ids": []}, "ids", "empty_array"),
    ("POST", "/conversations/delete", {"ids": [1]}, "ids[0]", "invalid_type"),
    ("POST", "/conversations/move", {"ids": ["a"]}, "folder_id", "missing_required_parameter"),
    ("GET", "/conversations?limit=0", None, "limit", "integer_below_min_value"),
    ("GET", "/conversations?limit=abc", None, "limit", "invalid_value"),
    ("GET", "/conversations?cursor=nonsense", None, "cursor", None),
    ("PUT", "/responses/resp_x/feedback", {"rating": 2}, "rating", "integer_above_max_value"),
    ("POST", "/folders", {"name": ""}, "name", "string_below_min_length"),
    ("POST", "/backends", {"kind": "openai_compatible"}, "url", None),
    ("POST", "/keys", {"name": None}, "name", "invalid_type"),
    ("PUT", "/preferences", "text", None, None),
]


@pytest.mark.parametrize(("method", "path", "body", "param", "code"), BAD)
async def test_bad_input_is_refused_in_openais_form(
    me: Door, method: str, path: str, body: Any, param: str | None, code: str | None
) -> None:
    error = await me.refused(method, f"/portal/v1{path}", body, status=400)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]
    if code is not None:
        assert error["code"] == code


async def test_a_fault_of_portals_own_is_a_plain_500(
    me: Door, portal: TestPortal, caplog: pytest.LogCaptureFixture
) -> None:
    """A column that holds no JSON any more: what is said to the client is in OpenAI's form and gives nothing away."""
    made = await conversation(me, title="kept")
    sql = "UPDATE conversations SET metadata = 'broken' WHERE id = :id"
    await portal.portal.storage.database.batch([Statement(sql, {"id": made["id"]})])
    error = await me.refused("GET", f"/portal/v1/conversations/{made['id']}", status=500)
    assert error["code"] == "internal_error"
    assert "broken" not in error["message"]
    await portal.portal.storage.database.batch(
        [Statement("DELETE FROM conversations WHERE id = :id", {"id": made["id"]})]
    )


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"", b"null", b"NaN"])
async def test_broken_json(me: Door, raw: bytes) -> None:
    sent = {"Content-Type": "application/json"}
    async with me.client.put("/portal/v1/preferences", data=raw, headers=sent) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("raw", "said"), [(b'{"theme": "\xff"}', "it is not valid UTF-8"), (b"[" * 100_000, "it is nested too deeply")]
)
async def test_a_body_that_cannot_be_read_says_why(me: Door, raw: bytes, said: str) -> None:
    sent = {"Content-Type": "application/json"}
    async with me.client.put("/portal/v1/preferences", data=raw, headers=sent) as answer:
        assert answer.status == 400
        assert said in (await answer.json())["error"]["message"]


async def test_a_cursor_of_another_list_is_refused_by_every_list(me: Door) -> None:
    for number in range(2):
        await conversation(me, title=f"Number {number}")
    foreign = (await me("GET", "/portal/v1/conversations?limit=1"))["next"]
    document = await me("GET", "/openapi.json")
    lists = {
        (path, asked["name"])
        for path, ways in document["paths"].items()
        for asked in ways.get("get", {}).get("parameters", ())
        if asked["name"] in ("cursor", "after") and "{" not in path and path != "/portal/v1/conversations"
    }
    assert len(lists) > 8
    for path, name in lists:
        for cursor in (foreign, "nonsense"):
            async with me.client.get(path, params={name: cursor}) as answer:
                assert answer.status == 400, path
                assert (await answer.json())["error"]["param"] == name, path


async def test_null_where_there_has_to_be_something(me: Door) -> None:
    made = await conversation(me, title="kept")
    for name in ("title", "pinned", "head"):
        await me.refused("PATCH", f"/portal/v1/conversations/{made['id']}", {name: None}, status=400)


# ------------------------------------------------------------------ other people's things


async def test_nothing_of_others_is_there(me: Door, stranger: Door) -> None:
    folder = (await me("POST", "/portal/v1/folders", {"name": "Mine"}, 201))["id"]
    made = (await conversation(me, title="Mine", folder_id=folder))["id"]
    response = (await me.respond("hello", conversation=made))["id"]
    key = (await me("POST", "/portal/v1/keys", {"name": "mine"}, 201))["id"]
    theirs = (await stranger("POST", "/portal/v1/conversations", {"title": "Theirs"}, 201))["id"]
    their_folder = (await stranger("POST", "/portal/v1/folders", {"name": "Theirs"}, 201))["id"]
    tries: list[tuple[str, str, Any]] = [
        ("GET", f"/portal/v1/conversations/{made}", None),
        ("PATCH", f"/portal/v1/conversations/{made}", {"title": "taken"}),
        ("GET", f"/portal/v1/conversations/{made}/turns", None),
        ("GET", f"/portal/v1/conversations/{theirs}/turns?before={response}", None),
        ("POST", "/portal/v1/conversations", {"folder_id": folder}),
        ("PATCH", f"/portal/v1/conversations/{theirs}", {"folder_id": folder}),
        ("PATCH", f"/portal/v1/conversations/{theirs}", {"head": response}),
        ("POST", "/portal/v1/conversations/move", {"ids": [made], "folder_id": None}),
        ("POST", "/portal/v1/conversations/move", {"ids": [theirs], "folder_id": folder}),
        ("POST", "/portal/v1/conversations/move", {"ids": [made], "folder_id": their_folder}),
        ("GET", f"/portal/v1/responses/{response}/route", None),
        ("PUT", f"/portal/v1/responses/{response}/feedback", {"rating": 1}),
        ("GET", f"/portal/v1/folders/{folder}", None),
        ("PUT", f"/portal/v1/folders/{folder}", {"name": "taken"}),
        ("DELETE", f"/portal/v1/folders/{folder}", None),
        ("DELETE", f"/portal/v1/keys/{key}", None),
        ("DELETE", f"/portal/v1/sessions/{key}", None),
        ("GET", f"/v1/responses/{response}", None),
        ("GET", f"/v1/responses/{response}?stream=true", None),
        ("GET", f"/v1/responses/{response}/input_items", None),
        ("POST", f"/v1/responses/{response}/cancel", None),
        ("DELETE", f"/v1/responses/{response}", None),
        ("GET", f"/v1/conversations/{made}", None),
        ("POST", f"/v1/conversations/{made}", {"metadata": {}}),
        ("GET", f"/v1/conversations/{made}/items", None),
        ("DELETE", f"/v1/conversations/{made}", None),
        ("POST", "/v1/responses", {"model": "tiny", "input": "hi", "conversation": made}),
    ]
    for method, path, body in tries:
        await stranger.refused(method, path, body, status=404)
    chained = {"model": "tiny", "input": "hi", "previous_response_id": response}
    error = await stranger.refused("POST", "/v1/responses", chained, status=400)
    assert error["code"] == "previous_response_not_found"
    for action in ("delete", "restore"):
        assert await stranger("POST", f"/portal/v1/conversations/{action}", {"ids": [made]}) == {"ids": []}
    for path in ("/conversations", "/conversations?q=Mine", f"/conversations?folder={folder}", "/folders", "/keys"):
        assert made not in json.dumps(await stranger("GET", f"/portal/v1{path}"))
        assert folder not in json.dumps(await stranger("GET", f"/portal/v1{path}"))
        assert key not in json.dumps(await stranger("GET", f"/portal/v1{path}"))
    assert (await me("GET", f"/portal/v1/conversations/{made}"))["title"] == "Mine"
    assert (await me("GET", f"/portal/v1/folders/{folder}"))["name"] == "Mine"


# ------------------------------------------------------------------ bytes


async def test_a_long_answer_costs_what_its_length_costs(me: Door, backend: ScriptedBackend) -> None:
    sizes = []
    for tokens in (500, 5000):
        backend.script(*(TextDelta(" word") for _ in range(tokens)))
        async with me.client.post(
            "/v1/responses?portal_events=1", json={"model": "tiny", "input": "long", "stream": True}
        ) as answer:
            sizes.append(len(await answer.read()))
    assert sizes[1] <= 10.5 * sizes[0]
