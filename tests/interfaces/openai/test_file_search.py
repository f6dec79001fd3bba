"""`file_search` of the Responses API, with the official `openai` package, and held against the specification."""

import io

import openai
import pytest
import pytest_asyncio
from openai.types.responses import Response, ResponseFileSearchToolCall
from tests.interfaces.openai.conftest import Api, error_of
from tests.knowledge.bag import BagEmbedder

from portal.backends.scripted import ScriptedBackend
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = "The door code is 4821."
PARKING = "Visitors park their car behind the house."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", embedder=BagEmbedder()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal):
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def store(client):
    made = await client.vector_stores.create(name="House")
    for name, text in (("door.txt", CODE), ("parking.txt", PARKING)):
        file = await client.files.create(file=(name, io.BytesIO(text.encode())), purpose="assistants")
        kind = {"kind": name.partition(".")[0]}
        done = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=made.id, attributes=kind)
        assert done.status == "completed"
    yield made.id
    await client.vector_stores.delete(made.id)


def tool(store, **fields):
    return [{"type": "file_search", "vector_store_ids": [store], **fields}]


def told(backend):
    return "\n".join(str(one["content"]) for one in backend.requests[-1].messages if one["role"] == "system")


@pytest.mark.parametrize("model", ["tiny", "auto"])
async def test_what_is_found_is_told_and_cited(client, backend, store, model):
    backend.answer("It is 4821 [1].")

    response = await client.responses.create(
        model=model,
        input="What is the door code?",
        tools=tool(store, max_num_results=1),
        include=["file_search_call.results"],
    )

    Response.model_validate(response.model_dump(mode="json", warnings="none"))
    call, message = response.output
    assert isinstance(call, ResponseFileSearchToolCall)
    assert (call.status, call.queries) == ("completed", ["What is the door code?"])
    (found,) = call.results
    assert (found.filename, found.text, found.attributes) == ("door.txt", CODE, {"kind": "door"})
    assert 0 < found.score <= 1
    (note,) = message.content[0].annotations
    assert (note.type, note.index, note.file_id, note.filename) == ("file_citation", 11, found.file_id, "door.txt")
    assert note.model_extra["portal:passage_id"] == found.model_extra["portal:passage_id"]
    assert told(backend).endswith(f"[1] door.txt\n{CODE}")
    assert response.tools[0].vector_store_ids == [store]


async def test_results_come_only_where_they_are_asked_for(client, backend, store):
    backend.answer("It is 4821.")
    response = await client.responses.create(model="tiny", input="What is the door code?", tools=tool(store))

    assert response.output[0].results is None
    assert [one["filename"] for one in response.output[0].model_extra["portal:found"]] == ["door.txt", "parking.txt"]
    assert response.output[1].model_extra["portal:uncited"] is True


async def test_the_stream_follows_the_specification(api: Api, backend: ScriptedBackend, store):
    backend.answer("It is 4821 [1].")
    body = {"model": "tiny", "input": "What is the door code?", "tools": tool(store)}

    events = await api.stream(body)

    kinds = [event["type"].removeprefix("response.") for event in events]
    assert [kind for kind in kinds if "file_search" in kind] == [
        "file_search_call.in_progress",
        "file_search_call.searching",
        "file_search_call.completed",
    ]
    assert kinds.count("output_text.annotation.added") == 1


async def test_filters_and_thresholds_hold(client, backend, store):
    async def files(**fields):
        backend.answer("Yes.")
        response = await client.responses.create(model="tiny", input="door code, car park", tools=tool(store, **fields))
        return [one["filename"] for one in response.output[0].model_extra["portal:found"]]

    assert await files(filters={"type": "eq", "key": "kind", "value": "parking"}) == ["parking.txt"]
    assert len(await files()) == 2
    assert await files(ranking_options={"score_threshold": 0.99}) == ["door.txt"]
    assert await files(ranking_options={"ranker": "none"}, max_num_results=1) == ["door.txt"]


async def test_a_store_that_is_not_there_is_refused(client, store):
    with pytest.raises(openai.NotFoundError, match="Vector store with id 'vs_unknown' not found") as refused:
        await client.responses.create(
            model="tiny", input="door?", tools=tool(store, vector_store_ids=[store, "vs_unknown"])
        )
    assert refused.value.param == "tools"


@pytest.mark.parametrize("fields", [{"filters": {"type": "like"}}])
async def test_a_search_that_cannot_be_done_says_so(client, backend, store, fields):
    backend.answer("I do not know.")
    response = await client.responses.create(model="tiny", input="door?", tools=tool(store, **fields))

    assert (response.output[0].status, response.output[0].queries) == ("failed", ["door?"])
    assert told(backend) == ""


async def test_a_question_that_means_what_was_said_before_is_searched_with_it(client, backend, store):
    backend.answer("It is 4821.")
    first = await client.responses.create(model="tiny", input="What is the door code?", tools=tool(store))
    backend.answer("4821.")

    more = await client.responses.create(
        model="tiny", input="And again?", tools=tool(store), previous_response_id=first.id
    )

    assert more.output[0].queries == ["And again?", "What is the door code?\nIt is 4821.\nAnd again?"]
    assert f"[1] door.txt\n{CODE}" in told(backend)
    assert [one["role"] for one in backend.requests[-1].messages] == ["system", "user", "assistant", "user"]


async def test_earlier_searches_can_be_sent_back(client, backend, store):
    backend.answer("It is 4821 [1].")
    first = await client.responses.create(model="tiny", input="What is the door code?", tools=tool(store), store=False)
    backend.answer("You are welcome.")
    sent = [*(item.model_dump(mode="json") for item in first.output), {"role": "user", "content": "Thanks"}]

    again = await client.responses.create(model="tiny", input=sent)

    assert again.output_text == "You are welcome."
    assert [one["content"] for one in backend.requests[-1].messages] == ["It is 4821 [1].", "Thanks"]


@pytest.mark.parametrize("choice", ["none", {"type": "file_search"}, "required"])
async def test_a_choice_of_tools(client, backend, store, choice):
    backend.answer("It is 4821 [1].")
    response = await client.responses.create(
        model="tiny", input="What is the door code?", tools=tool(store), tool_choice=choice
    )

    assert len(response.output) == (1 if choice == "none" else 2)
    assert "tool_choice" not in backend.requests[-1].parameters


async def test_functions_of_the_client_go_beside_it(client, backend, store):
    function = {"type": "function", "name": "open_door", "parameters": {"type": "object", "properties": {}}}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}]}
    sent = []
    for choice in ("auto", {"type": "file_search"}, allowed):
        backend.answer("It is 4821 [1].")
        await client.responses.create(
            model="tiny", input="What is the door code?", tools=[*tool(store), function], tool_choice=choice
        )
        sent.append(len(backend.requests[-1].parameters.get("tools", ())))

    assert sent == [1, 1, 0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"vector_store_ids": []}, "tools[0].vector_store_ids"),
        ({"vector_store_ids": None}, "tools[0].vector_store_ids"),
        ({"max_num_results": 51}, "tools[0].max_num_results"),
        ({"ranking_options": {"score_threshold": 2}}, "tools[0].ranking_options.score_threshold"),
        ({"type": None}, "tools[0].type"),
        ({"type": "web_search"}, "tools[0].type"),
    ],
)
async def test_what_is_wrong_is_named(api: Api, store, fields, param):
    body = {"model": "tiny", "input": "Hi", "tools": [{**tool(store)[0], **fields}]}

    assert error_of(await api.post("/v1/responses", body), 400)["param"] == param


async def test_a_workspace_looks_by_itself_where_it_bears_on_the_question(client, backend, store):
    backend.answer("Hello!")
    greeting = await client.responses.create(model="auto", input="Good morning to you all")
    backend.answer("The door code is 4821.")
    asked = await client.responses.create(model="auto", input="What is the door code?")

    assert [item.type for item in greeting.output] == ["message"]
    assert [item.type for item in asked.output] == ["file_search_call", "message"]
    assert asked.output[1].content[0].annotations[0].filename == "door.txt"
