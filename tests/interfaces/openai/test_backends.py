"""The official `openai` packages over every kind of model server: what each receives, and what the client sees."""

import json
import shutil
from pathlib import Path

import openai
import pytest
import pytest_asyncio
from pydantic import BaseModel
from tests.interfaces.openai.test_npm import PACKAGE, run

from portal.backends import embedded, ollama, openai_compatible
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal
from portal.testing.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.asyncio(loop_scope="module")

TINY = Path(__file__).parents[2] / "fixtures" / "tinymodel"
INSIDE = "portal-tiny-q8_0"
HI = [{"role": "user", "content": "Hi"}]
CAT = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": SCHEMA}}


class Place(BaseModel):
    city: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stands(tmp_path_factory):
    """A stand-in of each kind of model server, and Portal over all of them."""
    models = [
        OllamaModel(name="smart", capabilities=("completion", "tools", "vision", "thinking")),
        OllamaModel(name="nomic", capabilities=("embedding",), family="nomic-bert"),
    ]
    engine = ScriptedEngine(default=lambda job: ["Hel", "lo"])
    async with (
        OllamaServer(models=models) as one,
        OpenAIServer(models=["hosted", "text-embedding"], usage=True) as two,
    ):
        backends = [
            ollama.Ollama(ollama.Config(url=one.url)),
            openai_compatible.OpenAICompatible(openai_compatible.Config(url=two.url)),
            embedded.Embedded(embedded.Config(folder=TINY), engine=engine),
        ]
        folder = tmp_path_factory.mktemp("portal") / "data"
        never_rest = {"faults": {"retries": 0, "breaker_failures": 0}}
        async with open_test_portal(folder, backends=backends, settings=never_rest) as portal:
            yield {"smart": one, "hosted": two}, portal


@pytest_asyncio.fixture(loop_scope="module")
async def client(stands):
    _, portal = stands
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


@pytest.fixture(params=["smart", "hosted"])
def model(request):
    return request.param


@pytest.fixture
def server(stands, model):
    found = stands[0][model]
    found.requests.clear()
    return found


async def text_of(stream):
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return text, next(c.choices[0].finish_reason for c in reversed(chunks) if c.choices), chunks[-1].usage


@pytest.mark.parametrize("model", ["smart", "hosted", INSIDE])
async def test_chat_and_responses(client, stands, model):
    for _ in range(4 if model in stands[0] else 0):
        stands[0][model].answer("Hel", "lo")
    whole = await client.chat.completions.create(model=model, messages=HI, max_tokens=50, temperature=0)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Hello", "stop")
    assert whole.usage.completion_tokens > 0
    more = {"stream": True, "stream_options": {"include_usage": True}}
    text, reason, usage = await text_of(await client.chat.completions.create(model=model, messages=HI, **more))
    assert (text, reason) == ("Hello", "stop")
    assert usage.completion_tokens > 0
    kept = await client.responses.create(model=model, input="Hi")
    assert kept.output_text == "Hello"
    async with client.responses.stream(model=model, input="More", previous_response_id=kept.id) as stream:
        assert (await stream.get_final_response()).output_text == "Hello"


async def test_tools_there_and_back(client, server, model):
    server.script(Answer(tool_calls=[ToolCall(name="weather", arguments={"city": "Oslo"}, id="c1")]))
    server.answer("Cold")
    made = await client.chat.completions.create(model=model, messages=HI, tools=[WEATHER])
    assert made.choices[0].finish_reason == "tool_calls"
    (call,) = made.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments.replace(" ", "")) == ("weather", '{"city":"Oslo"}')
    answered = [*HI, made.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "-3"}]
    last = await client.chat.completions.create(model=model, messages=answered, tools=[WEATHER])
    assert last.choices[0].message.content == "Cold"
    sent = server.requests[-1].body
    assert sent["messages"][-1]["content"] == "-3"
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather"]


async def test_calls_in_a_stream(client, server, model):
    server.script(Answer(tool_calls=[ToolCall(name="weather", arguments={"city": "Oslo"}, id="c1")]))
    async with client.chat.completions.stream(model=model, messages=HI, tools=[WEATHER]) as stream:
        made = await stream.get_final_completion()
    assert made.choices[0].message.tool_calls[0].function.name == "weather"


async def test_pictures(client, server, model):
    server.answer("A cat")
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, CAT]}]
    made = await client.chat.completions.create(model=model, messages=asked)
    assert made.choices[0].message.content == "A cat"
    assert "iVBORw0KGgo=" in str(server.requests[-1].body["messages"])


async def test_structured_output(client, server, model):
    server.answer('{"city": "Oslo"}')
    made = await client.chat.completions.parse(model=model, messages=HI, response_format=Place)
    assert made.choices[0].message.parsed == Place(city="Oslo")
    assert "city" in str(server.requests[-1].body)


@pytest.mark.parametrize("name", ["nomic", "text-embedding"])
async def test_embeddings(client, name):
    made = await client.embeddings.create(model=name, input=["Hi", "there"])
    assert [len(one.embedding) > 0 for one in made.data] == [True, True]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CUT, Fault.ERROR, Fault.GARBAGE])
async def test_a_server_that_breaks_off(client, server, model, fault):
    server.script(Answer(text=["a", "b", "c"], fault=fault, after=2))
    # What is no text is relayed as it came: the package fails over it by itself.
    with pytest.raises((openai.APIError, UnicodeDecodeError)):
        await text_of(await client.chat.completions.create(model=model, messages=HI, stream=True))


async def test_a_server_that_fails_at_once(client, server, model):
    server.script(Answer(status=500))
    with pytest.raises(openai.APIStatusError) as failure:
        await client.chat.completions.create(model=model, messages=HI, stream=True)
    assert failure.value.status_code >= 500


async def test_a_client_that_leaves(client, server, model):
    server.script(Answer(text=["a", "b"], fault=Fault.HANG, after=2))
    stream = await client.chat.completions.create(model=model, messages=HI, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()
    await server.wait_disconnected()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.timeout(300)
async def test_npms_package(stands, tmp_path):
    servers, portal = stands
    for server in servers.values():
        for _ in range(3):
            server.answer("Hel", "lo")
    shutil.copy(Path(__file__).with_name("kinds.mjs"), tmp_path)
    await run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(tmp_path), PACKAGE, cwd=tmp_path)
    models = [*servers, INSIDE]
    got = json.loads(await run("node", "kinds.mjs", portal.url, portal.key, *models, cwd=tmp_path))
    assert got == {model: [["Hello", "stop"], ["Hello", "stop"], ["Hello", "completed"]] for model in models}
