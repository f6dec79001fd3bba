import asyncio

import pytest
from tests.interfaces.openai.conftest import error_of

from portal.core.model import TextDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = "/v1/conversations"


def message(text):
    return {"type": "message", "role": "user", "content": text}


async def made(api, **body):
    answer = await api.post(PLACE, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def texts(page):
    return [item["content"][0]["text"] for item in page["data"]]


async def test_create_get_update_delete(api):
    conversation = await made(api, metadata={"topic": "demo"})
    assert conversation["object"] == "conversation"
    assert conversation["metadata"] == {"topic": "demo"}
    place = f"{PLACE}/{conversation['id']}"
    assert (await api.get(place)).json() == conversation
    changed = (await api.post(place, {"metadata": {"topic": "other"}})).json()
    assert changed == {**conversation, "metadata": {"topic": "other"}}
    assert (await api.post(place, {"metadata": None})).json()["metadata"] == {}
    gone = {"id": conversation["id"], "object": "conversation.deleted", "deleted": True}
    assert (await api.client.delete(place)).json() == gone
    for answer in (await api.get(place), await api.client.delete(place), await api.post(place, {"metadata": {}})):
        error_of(answer, 404)


async def test_an_empty_body_is_enough(api):
    assert (await api.client.post(PLACE)).json()["metadata"] == {}


async def test_items_given_at_the_start(api, backend):
    conversation = await made(api, items=[message("one"), message("two")])
    backend.answer("Three")
    await api.respond({"model": "tiny", "input": "more", "conversation": conversation["id"]})
    assert [sent["content"] for sent in backend.requests[-1].messages] == ["one", "two", "more"]


async def test_of_turns_sent_at_once_one_is_answered(api, backend):
    conversation = await made(api)
    for _ in range(5):
        backend.answer("yes")
    body = {"model": "tiny", "input": "hi", "conversation": conversation["id"]}
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(api.post("/v1/responses", body)) for _ in range(5)]
    answers = [task.result() for task in sent]
    statuses = sorted(answer.status_code for answer in answers)
    answered = [answer.json() for answer in answers if answer.status_code == 200]
    previous = [response["previous_response_id"] for response in answered]
    assert len(set(previous)) == len(previous)
    assert statuses[0] == 200
    for answer in answers:
        if answer.status_code != 200:
            assert error_of(answer, 409)["code"] == "conversation_locked"


async def test_a_conversation_is_locked_while_a_turn_runs_and_deleting_it_stops_that(api, backend):
    conversation = await made(api)
    place = f"{PLACE}/{conversation['id']}"
    backend.script(TextDelta("Hel"), asyncio.Event())
    body = {"model": "tiny", "input": "hi", "conversation": conversation["id"], "background": True}
    running = await api.respond(body)
    assert error_of(await api.post(f"{place}/items", {"items": [message("x")]}), 409)["code"] == "conversation_locked"
    assert (await api.client.delete(place)).json()["deleted"]
    assert (await api.get(f"/v1/responses/{running['id']}")).json()["status"] == "cancelled"
    await backend.wait_running(0)


async def test_items_are_added_listed_found_and_deleted(api):
    conversation = await made(api)
    place = f"{PLACE}/{conversation['id']}/items"
    added = (await api.post(place, {"items": [message("one"), message("two")]})).json()
    assert texts(added) == ["one", "two"]
    assert (added["object"], added["has_more"]) == ("list", False)
    for item in added["data"]:
        api.spec.check("ItemField", item)
    first = f"{place}/{added['first_id']}"
    assert (await api.get(first, include="message.output_text.logprobs")).json() == added["data"][0]
    assert (await api.client.delete(first)).json() == conversation
    error_of(await api.get(first), 404)
    error_of(await api.client.delete(first), 404)
    assert texts((await api.get(place)).json()) == ["two"]


async def test_an_empty_list(api):
    conversation = await made(api)
    page = (await api.get(f"{PLACE}/{conversation['id']}/items")).json()
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 4, 100])
async def test_every_page_once_whatever_its_size(api, backend, order, limit):
    conversation = await made(api, items=[message("m0"), message("m1"), message("m2")])
    for number in (3, 5):
        backend.answer(f"m{number + 1}")
        body = {"model": "tiny", "input": f"m{number}", "conversation": conversation["id"]}
        await api.respond(body)
    place, seen, query = f"{PLACE}/{conversation['id']}/items", [], {"order": order, "limit": limit}
    while True:
        page = (await api.get(place, **query)).json()
        seen += texts(page)
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    whole = [f"m{number}" for number in range(7)]
    assert seen == (whole if order == "asc" else whole[::-1])


async def test_the_branch_on_show(api, backend):
    backend.answer("one")
    backend.answer("two")
    conversation = (await made(api))["id"]
    await api.respond({"model": "tiny", "input": "a", "conversation": conversation})
    branch = {"previous_response_id": None, "portal:branch": True}
    await api.respond({"model": "tiny", "input": "b", "conversation": conversation, **branch})
    page = (await api.get(f"{PLACE}/{conversation}/items", order="asc")).json()
    assert texts(page) == ["b", "two"]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_long_one(api, order):
    place = f"{PLACE}/{(await made(api))['id']}/items"
    for number in range(52):
        await api.post(place, {"items": [message(f"m{number}")]})
    page = (await api.get(place, order=order, limit=100)).json()
    numbers = [f"m{number}" for number in range(52)]
    assert texts(page) == (numbers if order == "asc" else numbers[::-1])


class TestRefused:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_a_cursor_of_another_list(self, api, order):
        one, other = await made(api, items=[message("one")]), await made(api, items=[message("other")])
        strange = (await api.get(f"{PLACE}/{other['id']}/items")).json()["first_id"]
        for after in (strange, "msg_no"):
            answer = await api.get(f"{PLACE}/{one['id']}/items", order=order, after=after)
            assert error_of(answer, 400)["param"] == "after"

    async def test_an_item_of_another_conversation(self, api):
        one, other = await made(api), await made(api, items=[message("other")])
        strange = (await api.get(f"{PLACE}/{other['id']}/items")).json()["first_id"]
        error_of(await api.get(f"{PLACE}/{one['id']}/items/{strange}"), 404)

    async def test_items_of_nothing(self, api):
        for order in ("asc", "desc"):
            error_of(await api.get(f"{PLACE}/conv_no/items", order=order), 404)
        error_of(await api.post(f"{PLACE}/conv_no/items", {"items": [message("one")]}), 404)
        error_of(await api.get(f"{PLACE}/conv_no/items/msg_no"), 404)

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"items": [message("x")] * 21}, "items"),
            ({"items": [{"type": "odd"}]}, "items[0].type"),
            ({"items": "x"}, "items"),
            ({"metadata": {"a": 1}}, "metadata.a"),
        ],
    )
    async def test_what_is_wrong_is_named(self, api, body, param):
        assert error_of(await api.post(PLACE, body), 400)["param"] == param

    async def test_nothing_to_add_or_change(self, api):
        place = f"{PLACE}/{(await made(api))['id']}"
        assert error_of(await api.post(f"{place}/items", {"items": []}), 400)["code"] == "empty_array"
        assert error_of(await api.post(f"{place}/items", {}), 400)["param"] == "items"
        assert error_of(await api.post(place, {}), 400)["param"] == "metadata"


async def test_a_file_that_is_no_picture_does_not_come_as_one(api):
    upload = await api.client.post(
        "/v1/files", files={"file": ("a.txt", b"words", "text/plain")}, data={"purpose": "user_data"}
    )
    drawn = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": None}
    item = {**drawn, "portal:file_id": upload.json()["id"]}
    place = f"{PLACE}/{(await made(api, items=[item]))['id']}/items"
    assert [item.get("result") for item in (await api.get(place)).json()["data"]] == [None]
