"""The official `openai` package against a running Portal, its asynchronous and its synchronous client."""

import asyncio
import io

import openai
import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.completion import Completion
from openai.types.conversations import Conversation
from openai.types.create_embedding_response import CreateEmbeddingResponse
from openai.types.file_object import FileObject
from openai.types.model import Model
from openai.types.responses import CompactedResponse, Response, ResponseItemList
from pydantic import BaseModel

from portal.backends.scripted import CUT
from portal.core.model import Finished, ReasoningDelta, TextDelta, ToolCallDelta

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGPROB = {"token": "Hello", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": WEATHER["parameters"]}}
HI = [{"role": "user", "content": "Hi"}]


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal):
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


def valid(kind, value):
    """`value` is really a `kind`: the package itself does not check what it is given."""
    assert isinstance(value, kind)
    kind.model_validate(value.model_dump(mode="json", warnings="none"))
    return value


class TestResponses:
    async def test_create_retrieve_delete(self, client, backend):
        backend.script(ReasoningDelta("Hm."), TextDelta("Hello", logprobs=[LOGPROB]))
        made = valid(Response, await client.responses.create(model="tiny", input="Hi", metadata={"a": "b"}))
        assert made.output_text == "Hello"
        assert (await client.responses.retrieve(made.id)).output_text == "Hello"
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)

    async def test_stream(self, client, backend):
        backend.answer("Hel", "lo")
        async with client.responses.stream(model="tiny", input="Hi") as stream:
            texts = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        assert texts == ["Hel", "lo"]
        assert final.output_text == "Hello"
        again = await client.responses.retrieve(final.id, stream=True, starting_after=0)
        kinds = [event.type async for event in again]
        assert kinds[0] == "response.in_progress"
        assert kinds[-1] == "response.completed"

    async def test_background_and_cancel(self, client, backend):
        backend.script(TextDelta("Hel"), asyncio.Event())
        begun = await client.responses.create(model="tiny", input="Hi", background=True)
        assert begun.status == "in_progress"
        await backend.wait_running(1)
        assert (await client.responses.cancel(begun.id)).status == "cancelled"

    async def test_tools_and_input_items(self, client, backend):
        backend.script(ToolCallDelta(0, "call_1", "weather", "{}"))
        backend.answer("Sunny")
        first = await client.responses.create(model="tiny", input="Hi", tools=[WEATHER])
        assert first.output[0].type == "function_call"
        result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
        second = await client.responses.create(model="tiny", input=[result], previous_response_id=first.id)
        assert second.output_text == "Sunny"
        page = await client.responses.input_items.list(second.id)
        assert [item.type for item in page.data] == ["function_call_output"]
        ResponseItemList.model_validate(page.model_dump() | {"object": "list"})

    async def test_structured_output(self, client, backend):
        class Answer(BaseModel):
            city: str

        backend.answer('{"city":', '"Oslo"}')
        parsed = await client.responses.parse(model="tiny", input="Hi", text_format=Answer)
        assert parsed.output_parsed == Answer(city="Oslo")

    async def test_compact(self, client, backend):
        backend.answer("One")
        backend.answer("They said hi.")
        backend.answer("Two")
        first = await client.responses.create(model="tiny", input="Hi")
        compacted = await client.responses.compact(model="tiny", previous_response_id=first.id)
        assert isinstance(compacted, CompactedResponse)
        carried = [item.to_dict(warnings=False) for item in compacted.output]
        again = await client.responses.create(model="tiny", input=[*carried, *HI])
        assert again.output_text == "Two"

    async def test_websocket(self, client, backend):
        backend.answer("One")
        backend.answer("Two")
        async with client.responses.connect() as connection:
            await connection.response.create(model="tiny", input="Hi", store=False)
            async for event in connection:
                if event.type == "response.completed":
                    break
            previous = event.response.id
            await connection.response.create(model="tiny", input="More", store=False, previous_response_id=previous)
            async for event in connection:
                if event.type == "response.completed":
                    break
        assert event.response.output[0].content[0].text == "Two"
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One", "More"]


async def test_conversations(client, backend):
    backend.answer("Hello")
    before = {"type": "message", "role": "user", "content": "Before"}
    made = valid(Conversation, await client.conversations.create(items=[before], metadata={"a": "b"}))
    await client.responses.create(model="tiny", input="Hi", conversation=made.id)
    items = [item async for item in client.conversations.items.list(made.id, limit=2, order="asc")]
    assert [item.content[0].text for item in items] == ["Before", "Hi", "Hello"]
    added = await client.conversations.items.create(made.id, items=[{**before, "content": "After"}])
    found = await client.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)
    assert found.content[0].text == "After"
    await client.conversations.items.delete(found.id, conversation_id=made.id)
    assert (await client.conversations.update(made.id, metadata={"c": "d"})).metadata == {"c": "d"}
    assert (await client.conversations.retrieve(made.id)).metadata == {"c": "d"}
    assert (await client.conversations.delete(made.id)).deleted is True


async def test_files(client):
    made = valid(FileObject, await client.files.create(file=("a.txt", io.BytesIO(b"hello")), purpose="user_data"))
    kept = {"anchor": "created_at", "seconds": 3600}
    short = await client.files.create(file=("b.txt", b"x"), purpose="batch", expires_after=kept)
    assert short.expires_at == short.created_at + 3600
    ids = [file.id async for file in client.files.list(limit=1)]
    assert ids == [short.id, made.id]
    assert (await client.files.retrieve(made.id)).filename == "a.txt"
    assert (await client.files.content(made.id)).content == b"hello"
    assert (await client.files.delete(made.id)).deleted is True


async def test_models(client):
    models = [valid(Model, model) async for model in client.models.list()]
    assert {"auto", "portal-guide", "tiny", "vendor/big:7b"} <= {model.id for model in models}
    assert (await client.models.retrieve("vendor/big:7b")).id == "vendor/big:7b"


class TestChat:
    async def test_whole(self, client, backend):
        backend.script(
            TextDelta("Hello", logprobs=[LOGPROB]), TextDelta("Ho", 1), Finished("stop"), Finished("stop", 1)
        )
        made = valid(
            ChatCompletion,
            await client.chat.completions.create(
                model="tiny",
                messages=HI,
                n=2,
                logprobs=True,
                seed=7,
                stop=["END"],
                response_format={"type": "json_object"},
            ),
        )
        assert [choice.message.content for choice in made.choices] == ["Hello", "Ho"]
        assert made.choices[0].logprobs.content[0].token == "Hello"
        sent = backend.requests[-1].parameters
        assert sent == {
            "n": 2,
            "logprobs": True,
            "seed": 7,
            "stop": ["END"],
            "response_format": {"type": "json_object"},
        }

    async def test_stream_with_tools(self, client, backend):
        backend.script(
            TextDelta("Wait."), ToolCallDelta(0, "call_1", "weather", '{"a":'), ToolCallDelta(0, arguments="1}")
        )
        async with client.chat.completions.stream(
            model="tiny", messages=HI, tools=[FUNCTION], stream_options={"include_usage": True}
        ) as stream:
            chunks = [event.chunk async for event in stream if event.type == "chunk"]
            final = await stream.get_final_completion()
        for chunk in chunks:
            valid(ChatCompletionChunk, chunk)
        assert final.choices[0].message.tool_calls[0].function.arguments == '{"a":1}'
        assert final.choices[0].finish_reason == "tool_calls"
        assert final.usage.total_tokens > 0

    async def test_images(self, client, backend):
        backend.answer("A cat")
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        await client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": [image]}])
        assert backend.requests[-1].messages[0]["content"] == [image]

    async def test_stored(self, client, backend):
        backend.answer("Hello")
        made = await client.chat.completions.create(model="tiny", messages=HI, store=True)
        assert made.choices[0].message.content == "Hello"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_errors(self, client, stream):
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="tinny", messages=HI, stream=stream)
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as bad:
            await client.chat.completions.create(model="tiny", messages=[], stream=stream)
        assert bad.value.param == "messages"

    async def test_a_cut_stream_raises(self, client, backend):
        backend.script(TextDelta("Hel"), CUT)
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in await client.chat.completions.create(model="tiny", messages=HI, stream=True):
                pass


async def test_completions(client, backend):
    backend.answer("upon")
    backend.answer("up", "on")
    made = valid(Completion, await client.completions.create(model="tiny", prompt="Once"))
    assert made.choices[0].text == "upon"
    stream = await client.completions.create(model="tiny", prompt="Once", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "upon"


async def test_embeddings(client):
    made = valid(CreateEmbeddingResponse, await client.embeddings.create(model="embedder", input=["Hi", "there"]))
    plain = await client.embeddings.create(model="embedder", input="Hi", encoding_format="float", dimensions=8)
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)


def synchronous(url, key):
    """What a plain script does, in order."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        response = client.responses.create(model="tiny", input="Hi")
        events = list(
            client.responses.create(model="tiny", input="More", previous_response_id=response.id, stream=True)
        )
        chat = client.chat.completions.create(model="tiny", messages=HI)
        chunks = list(client.chat.completions.create(model="tiny", messages=HI, stream=True))
        text = client.completions.create(model="tiny", prompt="Hi")
        vector = client.embeddings.create(model="embedder", input="Hi")
        file = client.files.create(file=("a.txt", b"hello"), purpose="user_data")
        conversation = client.conversations.create()
        page = client.conversations.items.list(conversation.id)
        models = client.models.list()
        items = client.responses.input_items.list(response.id)
        found = client.responses.retrieve(response.id)
        client.responses.delete(response.id)
        return {
            "response": found.output_text,
            "stream": events[-1].response.output_text,
            "chat": chat.choices[0].message.content,
            "chunks": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
            "completion": text.choices[0].text,
            "dimensions": len(vector.data[0].embedding),
            "file": client.files.content(file.id).content,
            "items": [item.content[0].text for item in items.data],
            "conversation": list(page.data),
            "models": "auto" in {model.id for model in models.data},
        }


async def test_the_synchronous_client(portal, backend):
    for word in ("One", "Two", "Three", "Four", "Five"):
        backend.answer(word)
    assert await asyncio.to_thread(synchronous, portal.url, portal.key) == {
        "response": "One",
        "stream": "Two",
        "chat": "Three",
        "chunks": "Four",
        "completion": "Five",
        "dimensions": 8,
        "file": b"hello",
        "items": ["Hi"],
        "conversation": [],
        "models": True,
    }
