import asyncio

import httpx
import orjson
import pytest
from tests.interfaces.openai.conftest import error_of, sse

from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.scripted import CUT
from portal.core.model import Citation, Finished, ReasoningDelta, RefusalDelta, TextDelta, TokenUsage, ToolCallDelta
from portal.errors import BackendTimeout, BackendUnavailable
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"model": "tiny", "input": "Hi"}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def text_of(response):
    return response["output"][-1]["content"][0]["text"]


def message(text):
    return {"type": "message", "role": "user", "content": text}


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


async def test_a_whole_answer(api, backend):
    backend.answer("Hel", "lo")
    made = await api.respond({**HELLO, "metadata": {"a": "b"}, "temperature": 0.5})
    assert made["status"] == "completed"
    assert text_of(made) == "Hello"
    assert made["metadata"] == {"a": "b"}
    assert made["temperature"] == 0.5
    assert made["store"] is True
    assert made["usage"]["output_tokens"] == 2


async def test_headers_say_which_model_and_why(api, backend):
    backend.answer("Hello")
    backend.answer("Hello")
    plain = await api.post("/v1/responses", HELLO)
    assert plain.headers["x-portal-model"] == "tiny"
    assert plain.headers["x-portal-reason"] == "asked for by name"
    assert plain.headers["x-request-id"]
    auto = await api.post("/v1/responses", {"model": "auto", "input": "Hi", "stream": True})
    assert auto.headers["x-portal-model"] == "vendor/big:7b"
    assert auto.headers["x-portal-reason"].startswith("auto: the largest")
    assert auto.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_portals_own_events_only_for_those_who_ask(api, backend):
    backend.answer("Hel", "lo")
    backend.answer("Hel", "lo")
    asked = await api.stream(HELLO, portal_events=1)
    plain = await api.stream(HELLO)
    assert "portal:route" in kinds(asked)
    assert not [kind for kind in kinds(plain) if kind.startswith("portal:")]
    own = [event["sequence_number"] for event in asked if event["type"].startswith("portal:")]
    assert [event["sequence_number"] for event in plain] == [
        number for number in range(len(asked)) if number not in own
    ]


async def test_every_kind_of_output(api, backend):
    backend.script(
        ReasoningDelta("Let me "),
        ReasoningDelta("think."),
        TextDelta("It is ", logprobs=[{"token": "It", "logprob": -0.1, "bytes": [73], "top_logprobs": []}]),
        TextDelta("sunny."),
        Citation({"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}),
        ToolCallDelta(0, "call_1", "weather", '{"city":'),
        ToolCallDelta(0, arguments='"Oslo"}'),
        ToolCallDelta(1, "call_2", "weather", "{}"),
    )
    events = await api.stream({**HELLO, "tools": [TOOL], "top_logprobs": 1}, portal_events=1)
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert output[1]["content"][0]["annotations"][0]["title"] == "A"
    assert output[1]["content"][0]["logprobs"][0]["token"] == "It"
    assert output[2] == {**output[2], "call_id": "call_1", "arguments": '{"city":"Oslo"}', "status": "completed"}
    assert backend.requests[-1].parameters["top_logprobs"] == 1


async def test_a_refusal(api, backend):
    backend.script(RefusalDelta("I "), RefusalDelta("cannot."))
    events = await api.stream(HELLO)
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


async def test_tool_results_go_back_to_the_model(api, backend):
    backend.script(ToolCallDelta(0, "call_1", "weather", "{}"))
    backend.answer("Sunny")
    first = await api.respond({**HELLO, "tools": [TOOL]})
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
    second = await api.respond(
        {"model": "tiny", "previous_response_id": first["id"], "input": [result], "tools": [TOOL]}
    )
    assert text_of(second) == "Sunny"
    called, answered = backend.requests[-1].messages[-2:]
    assert called["tool_calls"][0]["function"]["name"] == "weather"
    assert answered == {"role": "tool", "tool_call_id": "call_1", "content": "sun"}


async def test_items_of_portals_own_tools_come_back_as_they_were_sent(api, backend):
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "files", "name": "f", "arguments": "{}"}
    answered = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True, "reason": "fine"}
    call = {
        "type": "mcp_call",
        "server_label": "files",
        "name": "f",
        "arguments": "{}",
        "approval_request_id": "mcpr_1",
    }
    sent = [
        {"role": "user", "content": "Hi"},
        {**asked, "portal:why": "It writes.", "portal:risk": "write", "portal:expires_at": 5},
        {**answered, "portal:extent": "arguments", "portal:arguments": {"a": 1}},
        {**call, "output": "done", "portal:round": 1, "portal:files": [], "unknown": 1},
        {**call, "error": {"type": "http_error", "code": 500, "message": "no luck"}},
        {**call, "error": {"type": "mcp_tool_execution_error", "content": "odd"}, "status": "failed"},
        {**call, "error": "worse", "status": "failed"},
    ]
    backend.answer("Good")
    response = (await api.client.post("/v1/responses", json={"model": "tiny", "input": sent})).json()
    kept = (await api.get(f"/v1/responses/{response['id']}/input_items", order="asc")).json()["data"]
    ids = [item.pop("id") for item in kept]
    assert ids[1] == "mcpr_1"
    assert [identity.split("_")[0] for identity in ids] == ["msg", "mcpr", "mcpa", "mcp", "mcp", "mcp", "mcp"]
    expected = {name: value for name, value in sent[1].items() if name != "id"}
    assert kept[1] == {**expected, "portal:question": False, "portal:extents": ["once"]}
    assert kept[2] == sent[2]
    done = {**sent[3], "error": None, "status": "completed"}
    assert kept[3] == {name: value for name, value in done.items() if name != "unknown"}
    assert [(item["error"], item["status"]) for item in kept[4:]] == [
        ("no luck", "failed"),
        ("odd", "failed"),
        ("worse", "failed"),
    ]
    results = [message["content"] for message in backend.requests[-1].messages if message["role"] == "tool"]
    assert results == ["done", "no luck", "odd", "worse"]
    backend.answer("Again")
    references = [{"type": "item_reference", "id": identity} for identity in (ids[1], ids[3])]
    again = await api.respond({"model": "tiny", "input": references})
    kept = (await api.get(f"/v1/responses/{again['id']}/input_items", order="asc")).json()["data"]
    assert kept[0]["id"] == "mcpr_1"
    assert kept[1]["id"] not in ids


async def test_an_answer_cut_by_the_token_limit_is_incomplete(api, backend):
    backend.script(TextDelta("Hel"), Finished("length"))
    events = await api.stream({**HELLO, "max_output_tokens": 16})
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_a_counted_usage_says_so(api, backend):
    backend.script(TextDelta("Hello"), Finished("stop"), TokenUsage(3, 1, estimated=True))
    assert (await api.respond(HELLO))["usage"]["portal:estimated"] is True


class TestParameters:
    async def test_all_of_them_reach_the_model(self, api, backend):
        backend.answer("{}")
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        await api.respond(
            {
                "model": "tiny",
                "instructions": "Be brief.",
                "input": [
                    {"type": "message", "role": "system", "content": "S"},
                    {"type": "message", "role": "developer", "content": "D"},
                    {"type": "message", "role": "user", "content": "U1"},
                    {"type": "message", "role": "assistant", "content": "A1"},
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "U2"}]},
                ],
                "temperature": 0.1,
                "top_p": 0.2,
                "presence_penalty": 0.3,
                "frequency_penalty": 0.4,
                "max_output_tokens": 32,
                "tools": [TOOL],
                "tool_choice": {"type": "function", "name": "weather"},
                "parallel_tool_calls": False,
                "text": {"format": {"type": "json_schema", "name": "out", "schema": schema, "strict": True}},
                "reasoning": {"effort": "low"},
                "top_logprobs": 2,
                "seed": 7,
                "stop": ["END"],
            }
        )
        sent = backend.requests[-1]
        roles = [(message["role"], message["content"]) for message in sent.messages]
        assert roles == [
            ("system", "Be brief."),
            ("system", "S"),
            ("system", "D"),
            ("user", "U1"),
            ("assistant", "A1"),
            ("user", "U2"),
        ]
        assert sent.parameters == {
            "temperature": 0.1,
            "top_p": 0.2,
            "presence_penalty": 0.3,
            "frequency_penalty": 0.4,
            "max_tokens": 32,
            "tools": [{"type": "function", "function": {name: TOOL[name] for name in ("name", "parameters")}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "out", "schema": schema, "strict": True},
            },
            "reasoning_effort": "low",
            "logprobs": True,
            "top_logprobs": 2,
            "seed": 7,
            "stop": ["END"],
        }

    async def test_those_that_only_model_servers_know_reach_them(self, tmp_path):
        """Both kinds of servers, and their own record of what came in."""
        extra = {"repetition_penalty": 1.1, "typical_p": 0.9, "min_p": 0.05, "top_k": 7, "stop": ["END"], "seed": 7}
        passed = {"chat_template_kwargs": {"enable_thinking": False}, "user": "me", "frobnicate": {"x": 1}}
        ours = {"metadata": {"a": "b"}, "truncation": "auto", "safety_identifier": "s", "prompt_cache_key": "k"}
        ours |= {"max_tool_calls": 3, "include": ["reasoning.encrypted_content"], "portal:branch": True, "n": 2}
        body = {**extra, **passed, **ours, "logprobs": True, "text": {"verbosity": "low"}, "input": "Hi"}
        known = [*extra, *passed]
        async with (
            OpenAIServer(models=["a"], extra=known) as openai,
            OllamaServer(models=[OllamaModel(name="b")]) as ol,
        ):
            backends = [OpenAICompatible(OpenAIConfig(url=openai.url)), Ollama(OllamaConfig(url=ol.url))]
            async with (
                open_test_portal(tmp_path / "data", backends=backends) as portal,
                httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
            ):
                for model in ("a", "b"):
                    answer = await client.post("/v1/responses", json={**body, "model": model})
                    assert answer.status_code == 200, answer.text
            at_openai = next(one.body for one in openai.requests if one.path == "/v1/chat/completions")
            at_ollama = next(one.body for one in ol.requests if one.path == "/api/chat")
        assert at_openai == {
            **{"model": "a", "messages": [{"role": "user", "content": "Hi"}]},
            **{"stream": True, "stream_options": {"include_usage": True}},
            **extra,
            **passed,
            "logprobs": True,
            "verbosity": "low",
        }
        options = at_ollama.pop("options")
        del options["num_ctx"]
        assert options == {"repeat_penalty": extra.pop("repetition_penalty"), **extra}
        wanted = {**passed, "logprobs": True, "verbosity": "low"}
        assert at_ollama.keys() - {"model", "messages", "stream", "keep_alive"} == wanted.keys()
        assert {name: at_ollama[name] for name in wanted} == wanted

    async def test_easy_messages_need_no_type(self, api, backend):
        backend.answer("Hello")
        body = {"model": "tiny", "input": [{"role": "user", "content": "Hi"}]}
        assert (await api.post("/v1/responses", body)).status_code == 200
        assert backend.requests[-1].messages == [{"role": "user", "content": "Hi"}]


class TestState:
    async def test_a_chain(self, api, backend):
        backend.answer("One")
        backend.answer("Two")
        first = await api.respond(HELLO)
        second = await api.respond({"model": "tiny", "input": "More", "previous_response_id": first["id"]})
        assert second["previous_response_id"] == first["id"]
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One", "More"]

    async def test_a_previous_response_that_is_not_there(self, api):
        error = error_of(await api.post("/v1/responses", {**HELLO, "previous_response_id": "resp_no"}), 400)
        assert error["code"] == "previous_response_not_found"
        assert error["param"] == "previous_response_id"

    @pytest.mark.parametrize("wrap", [lambda name: name, lambda name: {"id": name}])
    async def test_a_conversation(self, api, backend, wrap):
        backend.answer("One")
        backend.answer("Two")
        conversation = (await api.post("/v1/conversations")).json()["id"]
        first = await api.respond({**HELLO, "conversation": wrap(conversation)})
        assert first["conversation"] == {"id": conversation}
        second = await api.respond({"model": "tiny", "input": "More", "conversation": wrap(conversation)})
        assert second["previous_response_id"] == first["id"]
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One", "More"]

    async def test_conversation_and_previous_response_name_a_branch(self, api, backend):
        for word in ("One", "Two", "Three"):
            backend.answer(word)
        conversation = (await api.post("/v1/conversations")).json()["id"]
        first = await api.respond({**HELLO, "conversation": conversation})
        await api.respond({"model": "tiny", "input": "Second", "conversation": conversation})
        branch = {"conversation": conversation, "previous_response_id": first["id"]}
        await api.respond({"model": "tiny", "input": "Other", **branch})
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One", "Other"]

    async def test_a_branch_from_the_root(self, api, backend):
        backend.answer("One")
        backend.answer("Two")
        conversation = (await api.post("/v1/conversations")).json()["id"]
        await api.respond({**HELLO, "conversation": conversation})
        root = {"conversation": conversation, "previous_response_id": None, "portal:branch": True}
        await api.respond({"model": "tiny", "input": "Again", **root})
        assert [message["content"] for message in backend.requests[-1].messages] == ["Again"]

    async def test_a_conversation_that_is_not_there(self, api):
        error_of(await api.post("/v1/responses", {**HELLO, "conversation": "conv_no"}), 404)

    async def test_a_conversation_that_is_not_there_beside_a_previous_response_that_is(self, api, backend):
        backend.answer("One")
        first = await api.respond(HELLO)
        body = {**HELLO, "previous_response_id": first["id"], "conversation": "conv_no"}
        assert error_of(await api.post("/v1/responses", body), 404)["code"] == "not_found"

    async def test_without_new_input(self, api, backend):
        backend.answer("One")
        backend.answer("Two")
        first = await api.respond(HELLO)
        await api.respond({"model": "tiny", "previous_response_id": first["id"]})
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One"]

    async def test_what_is_not_stored_is_gone(self, api, backend):
        backend.answer("One")
        made = await api.respond({**HELLO, "store": False})
        assert made["store"] is False
        error_of(await api.get(f"/v1/responses/{made['id']}"), 404)

    async def test_an_item_reference(self, api, backend):
        backend.answer("One")
        backend.answer("Two")
        first = await api.respond(HELLO)
        items = [{"type": "item_reference", "id": first["output"][0]["id"]}, {"id": first["output"][0]["id"]}]
        await api.respond({"model": "tiny", "input": items})
        assert [message["content"] for message in backend.requests[-1].messages] == ["One", "One"]

    async def test_an_item_reference_to_nothing(self, api):
        body = {"model": "tiny", "input": [{"type": "item_reference", "id": "msg_no"}]}
        assert error_of(await api.post("/v1/responses", body), 404)["param"] == "input[0].id"

    async def test_retrieve_and_delete(self, api, backend):
        backend.answer("One")
        made = await api.respond(HELLO)
        found = (await api.get(f"/v1/responses/{made['id']}")).json()
        api.spec.check("ResponseResource", found)
        assert found == made
        gone = await api.client.delete(f"/v1/responses/{made['id']}")
        assert gone.json() == {"id": made["id"], "object": "response", "deleted": True}
        error_of(await api.get(f"/v1/responses/{made['id']}"), 404)
        error_of(await api.client.delete(f"/v1/responses/{made['id']}"), 404)

    async def test_another_owner_sees_nothing(self, api, backend, portal):
        backend.answer("One")
        made = await api.respond(HELLO)
        stranger = "user_of_somebody_else"
        with pytest.raises(Exception, match="response"):
            await portal.portal.storage.responses.get(stranger, made["id"])


class TestReattaching:
    async def test_a_finished_response_from_any_number_on(self, api, backend):
        backend.answer("Hel", "lo")
        events = await api.stream(HELLO, portal_events=1)
        place = f"/v1/responses/{events[0]['response']['id']}"
        whole = sse((await api.get(place, stream="true")).text)
        api.spec.check_stream(whole, whole=False)
        assert text_of(whole[-1]["response"]) == "Hello"
        for event in events:
            after = event["sequence_number"]
            rest = sse((await api.get(place, stream="true", starting_after=after)).text)
            assert all(later["sequence_number"] > after for later in rest)
            for later in rest:
                api.spec.check_event(later)

    async def test_a_running_response(self, api, backend):
        gate = asyncio.Event()
        backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
        begun = await api.respond({**HELLO, "background": True})
        assert begun["status"] == "in_progress"
        place = f"/v1/responses/{begun['id']}"
        async with api.client.stream("GET", place, params={"stream": "true"}) as answer:
            text = ""
            async for piece in answer.aiter_text():
                text += piece
                if '"delta":"Hel"' in text:
                    gate.set()
        events = sse(text)
        api.spec.check_stream(events, whole=False)
        assert text_of(events[-1]["response"]) == "Hello"

    async def test_what_is_not_there(self, api):
        error_of(await api.get("/v1/responses/resp_no", stream="true"), 404)

    async def test_a_number_that_is_none(self, api):
        error = error_of(await api.get("/v1/responses/resp_no", stream="true", starting_after="x"), 400)
        assert error["param"] == "starting_after"


class TestStopping:
    async def test_cancel(self, api, backend):
        gate = asyncio.Event()
        backend.script(TextDelta("Hel"), gate)
        begun = await api.respond({**HELLO, "background": True})
        await backend.wait_running(1)
        stopped = (await api.post(f"/v1/responses/{begun['id']}/cancel")).json()
        api.spec.check("ResponseResource", stopped)
        assert stopped["status"] == "cancelled"
        assert backend.cancelled == 1
        again = (await api.post(f"/v1/responses/{begun['id']}/cancel")).json()
        assert again == stopped
        error_of(await api.post("/v1/responses/resp_no/cancel"), 404)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_client_that_leaves_stops_the_model(self, api, backend, stream):
        backend.script(TextDelta("Hel"), asyncio.Event())
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post("/v1/responses", {**HELLO, "stream": stream}))
            await backend.wait_running(1)
            asking.cancel()
        await backend.wait_running(0)
        assert backend.cancelled == 1

    async def test_a_watcher_who_leaves_a_background_response_does_not(self, api, backend):
        gate = asyncio.Event()
        backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
        body = {**HELLO, "background": True, "stream": True}
        async with api.client.stream("POST", "/v1/responses", json=body) as answer:
            first = await anext(answer.aiter_text())
        response_id = orjson.loads(first.split("\n")[1].removeprefix("data: "))["response"]["id"]
        gate.set()
        events = sse((await api.get(f"/v1/responses/{response_id}", stream="true")).text)
        assert text_of(events[-1]["response"]) == "Hello"

    async def test_a_running_response_can_be_deleted(self, api, backend):
        backend.script(TextDelta("Hel"), asyncio.Event())
        begun = await api.respond({**HELLO, "background": True})
        await backend.wait_running(1)
        assert (await api.client.delete(f"/v1/responses/{begun['id']}")).json()["deleted"] is True
        await backend.wait_running(0)
        error_of(await api.get(f"/v1/responses/{begun['id']}"), 404)


class TestFailures:
    async def test_before_the_first_byte_it_is_a_status(self, api, backend):
        backend.script(BackendUnavailable("It is down.", retry_after=7))
        answer = await api.post("/v1/responses", HELLO)
        assert error_of(answer, 503)["code"] == "backend_unavailable"
        assert answer.headers["retry-after"] == "7"

    async def test_in_a_stream_it_is_a_failed_response(self, api, backend):
        backend.script(TextDelta("Hel"), CUT)
        events = await api.stream(HELLO)
        assert events[-1]["type"] == "response.failed"
        assert events[-1]["response"]["error"]["code"] == "backend_interrupted"
        assert events[-1]["response"]["output"][0]["status"] == "incomplete"

    async def test_a_cut_answer_that_was_not_streamed_keeps_its_text(self, api, backend):
        backend.script(TextDelta("Hel"), CUT)
        made = await api.respond(HELLO)
        assert made["status"] == "failed"
        assert text_of(made) == "Hel"

    async def test_a_background_response_that_fails_says_so_later(self, api, backend):
        backend.script(BackendTimeout("Too slow."))
        begun = await api.respond({**HELLO, "background": True})
        events = sse((await api.get(f"/v1/responses/{begun['id']}", stream="true")).text)
        assert events[-1]["type"] == "response.failed"

    async def test_an_unknown_model_names_the_nearest(self, api):
        error = error_of(await api.post("/v1/responses", {"model": "tinny", "input": "Hi"}), 404)
        assert error["code"] == "model_not_found"
        assert error["param"] == "model"
        assert "'tiny'" in error["message"]


class TestInputItems:
    async def test_pages(self, api, backend):
        backend.answer("One")
        inputs = [message(f"m{index}") for index in range(5)]
        made = await api.respond({"model": "tiny", "input": inputs})
        place = f"/v1/responses/{made['id']}/input_items"
        newest = (await api.get(place, limit=2)).json()
        assert [item["content"][0]["text"] for item in newest["data"]] == ["m4", "m3"]
        assert newest["has_more"] is True
        for item in newest["data"]:
            api.spec.check("ItemField", item)
        rest = (await api.get(place, after=newest["last_id"])).json()
        assert [item["content"][0]["text"] for item in rest["data"]] == ["m2", "m1", "m0"]
        assert rest["has_more"] is False
        forwards = (await api.get(place, order="asc")).json()
        assert [item["id"] for item in forwards["data"]] == [item["id"] for item in [*newest["data"], *rest["data"]]][
            ::-1
        ]
        assert (forwards["first_id"], forwards["last_id"]) == (rest["last_id"], newest["first_id"])

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 101}, "limit"),
            ({"limit": "x"}, "limit"),
            ({"order": "up"}, "order"),
            ({"after": "msg_of_another_list"}, "after"),
        ],
    )
    async def test_queries_that_make_no_sense(self, api, backend, query, param):
        backend.answer("One")
        made = await api.respond(HELLO)
        assert error_of(await api.get(f"/v1/responses/{made['id']}/input_items", **query), 400)["param"] == param


class TestCompacting:
    async def test_a_chain_and_going_on_after_it(self, api, backend):
        backend.answer("One")
        backend.answer("They said hi.")
        backend.answer("Two")
        first = await api.respond(HELLO)
        body = {"model": "tiny", "previous_response_id": first["id"], "input": "More", "instructions": "Keep names."}
        api.spec.check("CompactResponseMethodPublicBody", body)
        compacted = (await api.post("/v1/responses/compact", body)).json()
        api.spec.check("CompactResource", compacted)
        assert [item["type"] for item in compacted["output"]] == ["message", "message", "compaction"]
        await api.respond(
            {
                "model": "tiny",
                "input": [*compacted["output"], {"role": "user", "content": "Go on"} | {"type": "message"}],
            }
        )
        sent = [message["content"] for message in backend.requests[-1].messages]
        assert any("They said hi." in content for content in sent)
        assert sent[-1] == "Go on"

    async def test_what_is_longer_than_the_models_window_is_summarised_piece_by_piece(self, api, backend):
        for number in (1, 2, 3):
            backend.script(TextDelta(f"Summary {number}."), TokenUsage(1000, 5))
        said = [{**message(f"Fact {number}. " + "word " * 600)} for number in range(8)]
        compacted = (await api.post("/v1/responses/compact", {"model": "tiny", "input": said})).json()
        api.spec.check("CompactResource", compacted)
        assert [item["type"] for item in compacted["output"]] == [*["message"] * 8, "compaction"]
        assert compacted["usage"] == {**compacted["usage"], "input_tokens": 3000, "output_tokens": 15}
        asked = [[one["content"][:40] for one in request.messages] for request in backend.requests]
        assert [len(one) for one in asked] == [4, 5, 4]
        assert asked[0][0].startswith("Fact 0.")
        assert asked[1][0].startswith("Summary of what came before:\nSummary 1.")
        assert asked[2][0].startswith("Summary of what came before:\nSummary 2.")
        backend.answer("Yes.")
        going_on = [compacted["output"][-1], message("Go on")]
        await api.respond({"model": "tiny", "input": going_on})
        assert "Summary 3." in backend.requests[-1].messages[0]["content"]

    async def test_a_chain_whose_file_was_deleted(self, api, backend):
        form = {"files": {"file": ("note.txt", b"Rent is 900.")}, "data": {"purpose": "user_data"}}
        file_id = (await api.client.post("/v1/files", **form)).json()["id"]
        asked = {**message([{"type": "input_text", "text": "Hi"}, {"type": "input_file", "file_id": file_id}])}
        backend.answer("One")
        first = await api.respond({"model": "tiny", "input": [asked]})
        await api.client.delete(f"/v1/files/{file_id}")
        backend.answer("They said hi.")
        again = await api.post("/v1/responses/compact", {"model": "tiny", "previous_response_id": first["id"]})
        assert again.status_code == 200, again.text
        assert "was deleted" in str(backend.requests[-1].messages)

    async def test_a_summary_that_is_not_ours(self, api):
        body = {"model": "tiny", "input": [{"type": "compaction", "encrypted_content": "forged"}]}
        error_of(await api.post("/v1/responses", body), 400)

    async def test_nothing_to_compact(self, api):
        assert error_of(await api.post("/v1/responses/compact", {"model": "tiny"}), 400)["param"] == "input"
        missing = await api.post("/v1/responses/compact", {"model": "tiny", "previous_response_id": "resp_no"})
        assert error_of(missing, 400)["code"] == "previous_response_not_found"

    async def test_a_client_that_leaves(self, api, backend):
        backend.script(TextDelta("Hel"), asyncio.Event())
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post("/v1/responses/compact", HELLO))
            await backend.wait_running(1)
            asking.cancel()
        await backend.wait_running(0)
        assert backend.cancelled == 1


async def test_bytes_on_the_wire_are_linear_in_the_answer(api, backend):
    async def size(tokens):
        backend.answer(*["word "] * tokens)
        return len((await api.post("/v1/responses", {**HELLO, "stream": True})).content)

    assert await size(5000) <= 10.5 * await size(500)
