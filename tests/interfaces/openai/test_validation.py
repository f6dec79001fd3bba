import httpx
import orjson
import pytest
import pytest_asyncio
from tests.interfaces.openai.conftest import MODELS, error_of

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = {"role": "user", "content": "Hi"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory):
    backend = ScriptedBackend(models=MODELS, default=echo)
    async with (
        open_test_portal(tmp_path_factory.mktemp("portal") / "data", backends=[backend]) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as client,
    ):
        yield client


def response(**fields):
    return {"model": "tiny", "input": "Hi", **fields}


def part(**fields):
    return response(input=[{"role": "user", "content": [fields]}])


def item(**fields):
    return response(input=[fields])


APPROVED = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
WRONG = [
    # message, param, code, body
    ("Missing required parameter: 'model'.", "model", "missing_required_parameter", {"input": "Hi"}),
    ("expected a string, but got an integer instead", "model", "invalid_type", response(model=1)),
    ("string too short", "model", "string_below_min_length", response(model="")),
    ("One of 'input' or", "input", "missing_required_parameter", {"model": "tiny"}),
    ("the text is empty", "input", "empty_string", response(input=" ")),
    ("empty array", "input", "empty_array", response(input=[])),
    ("one of a string or array of input items", "input", "invalid_type", response(input=5)),
    ("decimal above maximum value. Expected a value <= 2, but got 2.5 instead.", "temperature",
     "decimal_above_max_value", response(temperature=2.5)),
    ("decimal below minimum value. Expected a value >= 0, but got -1 instead.", "temperature",
     "decimal_below_min_value", response(temperature=-1)),
    ("expected a decimal, but got a string instead", "temperature", "invalid_type", response(temperature="hot")),
    ("expected a decimal, but got a boolean instead", "temperature", "invalid_type", response(temperature=True)),
    ("Expected a value <= 1", "top_p", "decimal_above_max_value", response(top_p=1.1)),
    ("Expected a value <= 2", "presence_penalty", "decimal_above_max_value", response(presence_penalty=3)),
    ("Expected a value >= -2", "frequency_penalty", "decimal_below_min_value", response(frequency_penalty=-3)),
    ("integer below minimum value. Expected a value >= 16, but got 3 instead.", "max_output_tokens",
     "integer_below_min_value", response(max_output_tokens=3)),
    ("expected an integer, but got a decimal instead", "max_output_tokens", "invalid_type",
     response(max_output_tokens=20.5)),
    ("expected an integer, but got a string instead", "max_tokens", "invalid_type", response(max_tokens="x")),
    ("expected an object, but got a string instead", "options", "invalid_type", response(options="x")),
    ("expected an object, but got a string instead", "response_format", "invalid_type", response(response_format="x")),
    ("Expected a value <= 20", "top_logprobs", "integer_above_max_value", response(top_logprobs=21)),
    ("Expected a value >= 1", "max_tool_calls", "integer_below_min_value", response(max_tool_calls=0)),
    ("expected a boolean, but got a string instead", "stream", "invalid_type", response(stream="yes")),
    ("expected an object, but got a string instead", "metadata", "invalid_type", response(metadata="x")),
    ("expected a string, but got an integer instead", "metadata.a", "invalid_type", response(metadata={"a": 1})),
    ("too many properties", "metadata", "object_above_max_properties",
     response(metadata={str(key): "x" for key in range(17)})),
    ("string too long. Expected a string with maximum length 512, but got a string with length 513 instead.",
     "metadata.a", "string_above_max_length", response(metadata={"a": "x" * 513})),
    ("string too long", "metadata." + "k" * 65, "string_above_max_length", response(metadata={"k" * 65: "x"})),
    ("Supported values are: 'auto', and 'disabled'.", "truncation", "invalid_value", response(truncation="maybe")),
    ("Supported values are", "service_tier", "invalid_value", response(service_tier="gold")),
    ("Supported values are", "include[0]", "invalid_value", response(include=["everything"])),
    ("Supported values are", "reasoning.effort", "invalid_value", response(reasoning={"effort": "huge"})),
    ("expected an object", "reasoning", "invalid_type", response(reasoning="low")),
    ("Supported values are", "text.verbosity", "invalid_value", response(text={"verbosity": "none"})),
    ("Supported values are", "text.format.type", "invalid_value", response(text={"format": {"type": "yaml"}})),
    ("Missing required parameter", "text.format.schema", "missing_required_parameter",
     response(text={"format": {"type": "json_schema", "name": "a"}})),
    ("does not match pattern", "text.format.name", "invalid_value",
     response(text={"format": {"type": "json_schema", "name": "a b", "schema": {}}})),
    ("Supported values are: 'function', 'file_search', and 'image_generation'.", "tools[0].type", "invalid_value",
     response(tools=[{"type": "web_search"}])),
    ("Missing required parameter", "tools[0].name", "missing_required_parameter",
     response(tools=[{"type": "function"}])),
    ("does not match pattern", "tools[0].name", "invalid_value", response(tools=[{"type": "function", "name": "a b"}])),
    ("expected an array", "tools", "invalid_type", response(tools={})),
    ("Supported values are", "tool_choice", "invalid_value", response(tool_choice="sometimes")),
    ("one of a string or object", "tool_choice", "invalid_type", response(tool_choice=5)),
    ("Supported values are", "tool_choice.type", "invalid_value", response(tool_choice={"type": "mcp"})),
    ("Supported values are", "tool_choice.type", "invalid_value", response(tool_choice={"type": ["function"]})),
    ("Supported values are", "tools[0].type", "invalid_value", response(tools=[{"type": {"function": 1}}])),
    ("Missing required parameter", "tool_choice.name", "missing_required_parameter",
     response(tool_choice={"type": "function"})),
    ("empty array", "tool_choice.tools", "empty_array", response(tool_choice={"type": "allowed_tools", "tools": []})),
    ("one of a string or array of strings", "stop", "invalid_type", response(stop=5)),
    ("expected an integer", "seed", "invalid_type", response(seed="x")),
    ("Background mode requires", "background", "invalid_value", response(background=True, store=False)),
    ("one of a string or object", "conversation", "invalid_type", response(conversation=5)),
    ("Missing required parameter", "conversation.id", "missing_required_parameter", response(conversation={})),
    ("expected a string", "conversation.id", "invalid_type", response(conversation={"id": 5})),
    ("string too long", "safety_identifier", "string_above_max_length", response(safety_identifier="x" * 65)),
    ("expected an object", "input[0]", "invalid_type", response(input=["Hi"])),
    ("Missing required parameter", "input[0].type", "missing_required_parameter", item(text="Hi")),
    ("Supported values are", "input[0].type", "invalid_value", item(type="computer_call")),
    ("Supported values are", "input[0].type", "invalid_value", item(type=5)),
    ("Supported values are", "input[0].role", "invalid_value", item(role="narrator", content="Hi")),
    ("Missing required parameter", "input[0].role", "missing_required_parameter", item(type="message", content="Hi")),
    ("Missing required parameter", "input[0].content", "missing_required_parameter", item(role="user")),
    ("one of a string or array of content parts", "input[0].content", "invalid_type", item(role="user", content=5)),
    ("expected an object", "input[0].content[0]", "invalid_type", item(role="user", content=["Hi"])),
    ("empty array", "input[0].content", "empty_array", item(role="user", content=[])),
    ("the text is empty", "input[0].content", "empty_string", item(role="user", content="")),
    ("the text is empty", "input[0].content[0].text", "empty_string", part(type="input_text", text="")),
    ("Supported values are", "input[0].status", "invalid_value", item(role="user", content="Hi", status="odd")),
    ("Missing required parameter", "input[0].content[0].type", "missing_required_parameter", part(text="Hi")),
    ("Supported values are: 'input_text', 'input_image', 'input_file', and 'input_audio'.",
     "input[0].content[0].type", "invalid_value", part(type="input_smell")),
    ("Supported values are: 'output_text', and 'refusal'.", "input[0].content[0].type", "invalid_value",
     item(role="assistant", content=[{"type": "input_text", "text": "Hi"}])),
    ("expected a string", "input[0].content[0].text", "invalid_type", part(type="input_text", text=5)),
    ("Missing required parameter", "input[0].content[0].image_url", "missing_required_parameter",
     part(type="input_image")),
    ("Supported values are", "input[0].content[0].detail", "invalid_value",
     part(type="input_image", image_url="data:,", detail="fine")),
    ("Missing required parameter", "input[0].content[0].file_id", "missing_required_parameter",
     part(type="input_file", filename="a")),
    ("Missing required parameter", "input[0].content[0].input_audio", "missing_required_parameter",
     part(type="input_audio")),
    ("Missing required parameter", "input[0].call_id", "missing_required_parameter",
     item(type="function_call", name="a", arguments="{}")),
    ("Missing required parameter", "input[0].output", "missing_required_parameter",
     item(type="function_call_output", call_id="a")),
    ("one of a string or array", "input[0].output", "invalid_type",
     item(type="function_call_output", call_id="a", output=5)),
    ("Supported values are", "input[0].summary[0].type", "invalid_value",
     item(type="reasoning", summary=[{"type": "text", "text": ""}])),
    ("Missing required parameter", "input[0].encrypted_content", "missing_required_parameter", item(type="compaction")),
    ("Missing required parameter", "input[0].id", "missing_required_parameter", item(type="item_reference")),
    ("Missing required parameter", "input[0].approve", "missing_required_parameter",
     item(type="mcp_approval_response", approval_request_id="mcpr_1")),
    ("expected a boolean", "input[0].approve", "invalid_type",
     item(type="mcp_approval_response", approval_request_id="mcpr_1", approve="yes")),
    ("Supported values are", "input[0].portal:extent", "invalid_value",
     item(**APPROVED, **{"portal:extent": "forever"})),
    ("expected an object", "input[0].portal:arguments", "invalid_type",
     item(**APPROVED, **{"portal:arguments": "{}"})),
    ("Missing required parameter", "input[0].id", "missing_required_parameter",
     item(type="mcp_approval_request", server_label="files", name="f", arguments="{}")),
    ("Missing required parameter", "input[0].arguments", "missing_required_parameter",
     item(type="mcp_call", server_label="files", name="f")),
    ("one of a string or object", "input[0].error", "invalid_type",
     item(type="mcp_call", server_label="files", name="f", arguments="{}", error=5)),
]  # fmt: skip


@pytest.mark.parametrize(("message", "param", "code", "body"), WRONG)
async def test_what_is_wrong_is_named(client, message, param, code, body):
    error = error_of(await client.post("/v1/responses", json=body), 400)
    assert message in error["message"]
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "could not parse the JSON body"),
        (b"", "the body is empty"),
        (b'{"model": "\xff"}', "could not parse the JSON body"),
        (b'["model"]', "must be a JSON object, but got an array"),
        (b"null", "must be a JSON object, but got null"),
    ],
)
async def test_bodies_that_are_no_json_object(client, path, body, said):
    error = error_of(await client.post(path, content=body, headers={"content-type": "application/json"}), 400)
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/resp_1",
        "/v1/conversations/conv_1",
        "/v1/conversations/conv_1/items/msg_1",
        "/v1/files/file-1",
    ],
)
async def test_a_delete_needs_no_body(client, path):
    error_of(await client.delete(path), 404)


async def test_ten_megabytes_of_input(client):
    text = "x" * 10_000_000
    answer = await client.post("/v1/responses", json=response(input=text))
    assert answer.status_code == 200
    assert answer.json()["output"][0]["content"][0]["text"] == text


async def test_nothing_that_fits_is_refused(client):
    body = response(
        input=[
            {**USER, "id": "msg_mine"},
            {"role": "assistant", "content": "Hello", "phase": "final_answer"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": []},
            {"role": "system", "content": ""},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Yes.", "logprobs": [{"token": "Y"}]}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "r"}]},
            {"type": "function_call_output", "call_id": "c", "output": ""},
            {"type": "function_call_output", "call_id": "c", "output": []},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": ""}, {"type": "input_image", "image_url": "data:,"}],
            },
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]},
            {"role": "user", "content": [{"type": "input_file", "filename": "a.txt", "file_data": "aGVsbG8="}]},
        ],
        temperature=2,
        tool_choice={"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]},
        tools=[{"type": "function", "name": "f"}],
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        conversation=None,
        metadata=None,
    )
    answer = await client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    listed = (await client.get(f"/v1/responses/{answer.json()['id']}/input_items", params={"order": "asc"})).json()
    ids = [entry["id"] for entry in listed["data"]]
    assert len(set(ids)) == 16
    assert "msg_mine" not in ids
    assert {entry.get("status", "completed") for entry in listed["data"]} == {"completed"}


class TestErrorsEverywhere:
    async def test_an_unknown_path(self, client):
        error = error_of(await client.get("/v1/nothing"), 404)
        assert error["message"] == "Invalid URL (GET /v1/nothing)"

    async def test_a_method_that_is_not_allowed(self, client):
        error = error_of(await client.put("/v1/responses", content=orjson.dumps(response())), 405)
        assert error["message"] == "Not allowed to PUT on /v1/responses."

    async def test_a_hot_path_with_another_method(self, client):
        error_of(await client.get("/v1/chat/completions"), 405)

    async def test_without_a_key(self, client):
        answer = await client.post("/v1/responses", json=response(), headers={"authorization": ""})
        assert error_of(answer, 401)["type"] == "invalid_request_error"
