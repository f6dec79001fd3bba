"""Traces by OTLP: real spans of a real server at a collector, and a context that comes in and goes on."""

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.interfaces.mcp.clients import client_of
from tests.mcp.workshop import serve
from tests.observability.collector import Collector, attributes, collecting

from portal import __version__
from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta, TokenUsage, ToolCallDelta
from portal.core.tracing import Span as Ours
from portal.core.tracing import Trace
from portal.errors import BackendUnavailable
from portal.observability.otlp import request_bytes, span_bytes
from portal.observability.telemetry import LONGEST_QUEUE, Exporter, sampler
from portal.settings.telemetry import TelemetrySettings, standard
from portal.testing.model_server import Answer
from portal.testing.ollama_server import OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.tools.function import Functions, tool

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "congo=t61rcWkgMzE"}
HI = [{"role": "user", "content": "hi"}]


@tool(risk="read")
async def look(what: str) -> str:
    """Look at something."""
    return f"saw {what}"


def to(collector: Collector, **fields: Any) -> dict[str, Any]:
    return {"telemetry": {"endpoint": collector.url, "interval": 0.02, **fields}}


async def post(portal: TestPortal, path: str, body: Mapping[str, Any], headers: Mapping[str, str] = {}) -> Any:
    async with (
        aiohttp.ClientSession(headers={**portal.headers, **headers}) as client,
        client.post(portal.url + path, json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.read()


def named(spans: list[Span], name: str) -> Span:
    (found,) = [one for one in spans if one.name == name]
    return found


async def test_a_turn_with_tools_is_a_trace_of_its_parts(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(ToolCallDelta(0, "c1", "look", '{"what": "secrets"}'), TokenUsage(7, 3))
    backend.script(TextDelta("They are gone."), TokenUsage(11, 2))
    async with collecting() as collector:
        sent = to(collector, headers={"X-Key": "k"}, resource={"deployment.environment.name": "test"})
        async with open_test_portal(
            tmp_path, backends=[backend], toolsets=[Functions("desk", [look])], settings=sent
        ) as portal:
            await post(portal, "/v1/responses", {"model": "auto", "input": "Where are my secrets?"}, CONTEXT)
            spans = await collector.until("invoke_agent auto")
    root, call, route = (named(spans, name) for name in ("invoke_agent auto", "execute_tool look", "portal.route auto"))
    prepare = next(one for one in spans if one.name.startswith("portal.prepare"))
    asked = [one for one in spans if one.name == "chat tiny"]
    assert len(asked) == 2
    assert {one.trace_id.hex() for one in spans} == {TRACE}
    assert {one.trace_state for one in spans} == {CONTEXT["tracestate"]}
    assert root.parent_span_id.hex() == CALLER
    assert root.flags == 0x301  # sampled, and its parent is another program's
    assert {one.parent_span_id for one in (*asked, call, prepare)} == {root.span_id}
    assert route.parent_span_id == prepare.span_id
    assert {one.kind for one in asked} == {Span.SPAN_KIND_CLIENT}
    assert root.kind == Span.SPAN_KIND_INTERNAL
    assert all(root.start_time_unix_nano <= one.start_time_unix_nano <= one.end_time_unix_nano for one in spans)
    told, last = attributes(root), attributes(asked[1])
    assert (told["gen_ai.operation.name"], told["gen_ai.agent.name"]) == ("invoke_agent", "auto")
    assert told["gen_ai.response.id"].startswith("resp_")
    assert (last["gen_ai.operation.name"], last["gen_ai.request.model"]) == ("chat", "tiny")
    assert (last["gen_ai.usage.input_tokens"], last["gen_ai.usage.output_tokens"]) == (11, 2)
    assert last["gen_ai.response.finish_reasons"] == ["stop"]
    assert last["gen_ai.response.time_to_first_chunk"] > 0
    assert (attributes(call)["gen_ai.tool.name"], attributes(call)["portal.toolset"]) == ("look", "desk")
    (resource,) = {str(one.resource) for request in collector.requests for one in request.resource_spans}
    about = attributes(collector.requests[0].resource_spans[0].resource)
    assert about["service.name"] == "portal"
    assert about["service.version"] == __version__
    assert about["deployment.environment.name"] == "test"
    assert "secrets" not in resource + str(spans)  # figures and names, not what was said
    assert "gone" not in str(spans)
    assert collector.headers[0]["X-Key"] == "k"


async def test_what_was_said_is_sent_where_that_is_asked_for(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(ToolCallDelta(0, "c1", "look", '{"what": "it"}'))
    backend.script(TextDelta("There it is."))
    async with collecting() as collector:
        tools = [Functions("desk", [look])]
        sent = to(collector, content=True)
        async with open_test_portal(tmp_path, backends=[backend], toolsets=tools, settings=sent) as portal:
            answer = await post(portal, "/v1/responses", {"model": "auto", "input": "Where is it?"})
            kept = await portal.portal.storage.traces.of_anybody(orjson.loads(answer)["id"])
            spans = await collector.until("invoke_agent auto")
    first, second = (attributes(one) for one in spans if one.name == "chat tiny")
    call = attributes(named(spans, "execute_tool look"))
    asked, made = orjson.loads(first["gen_ai.input.messages"]), orjson.loads(first["gen_ai.output.messages"])
    brought, answered = orjson.loads(second["gen_ai.input.messages"]), orjson.loads(second["gen_ai.output.messages"])
    assert asked[-1] == {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}
    ((call_part,),) = [one["parts"] for one in made]
    assert (call_part["type"], call_part["name"], call_part["arguments"]) == ("tool_call", "look", '{"what": "it"}')
    assert brought[-1]["parts"][0]["response"] == "saw it"
    assert answered == [{"role": "assistant", "parts": [{"type": "text", "content": "There it is."}]}]
    assert (call["gen_ai.tool.call.arguments"], call["gen_ai.tool.call.result"]) == ('{"what": "it"}', "saw it")
    assert "saw" not in str(kept)


@pytest.mark.parametrize(
    ("path", "body", "server"),
    [
        ("/v1/chat/completions", {"messages": HI, "stream": True}, OpenAIServer),
        ("/v1/chat/completions", {"messages": HI}, OllamaServer),
        ("/v1/messages", {"messages": HI, "max_tokens": 9}, OpenAIServer),
        ("/api/chat", {"messages": HI}, OllamaServer),
    ],
)
async def test_the_context_of_a_plain_call_goes_on_to_the_model_server(
    tmp_path: Path, path: str, body: dict[str, Any], server: type[OpenAIServer] | type[OllamaServer]
) -> None:
    async with collecting() as collector, server() as models:
        kind = "ollama" if server is OllamaServer else "openai_compatible"
        settings = {**to(collector), "backends": [{"kind": kind, "url": models.url}]}
        async with open_test_portal(tmp_path, backends=None, settings=settings) as portal:
            name = next(info.id for info in portal.portal.models.list() if info.id != "portal-guide")
            await post(portal, path, {"model": name, **body}, CONTEXT)
            spans = await collector.until(f"chat {name}")
        asked = models.requests[-1].headers
    (one,) = spans
    assert (one.trace_id.hex(), one.parent_span_id.hex()) == (TRACE, CALLER)
    assert asked["traceparent"] == f"00-{TRACE}-{one.span_id.hex()}-01"
    assert asked["tracestate"] == CONTEXT["tracestate"]
    told = attributes(one)
    assert told["gen_ai.provider.name"] == ("ollama" if kind == "ollama" else "openai")
    assert told["gen_ai.usage.output_tokens"] > 0
    assert told["portal.door"] == {"/v1/messages": "messages", "/api/chat": "ollama"}.get(path, "chat")


async def test_a_call_that_failed_says_so_and_each_try_is_there(tmp_path: Path) -> None:
    async with collecting() as collector, OpenAIServer(models=["mine"]) as models:
        models.script(Answer(status=503), Answer(text=["well"]))
        backends = [{"kind": "openai_compatible", "url": models.url}]
        settings = {**to(collector), "backends": backends, "faults": {"retries": 1, "retry_pause": 0.01}}
        async with open_test_portal(tmp_path, backends=None, settings=settings) as portal:
            await post(portal, "/v1/chat/completions", {"model": "mine", "messages": HI})
            while len(spans := await collector.until("chat mine")) < 2:
                await asyncio.sleep(0.01)
    first, second = spans
    assert (first.status.code, second.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)
    assert attributes(first)["error.type"]
    assert first.trace_id == second.trace_id
    assert first.parent_span_id == b""


async def test_nothing_comes_in_or_goes_on_without_a_collector(tmp_path: Path) -> None:
    async with OpenAIServer(models=["mine"]) as models:
        settings = {"backends": [{"kind": "openai_compatible", "url": models.url}]}
        async with open_test_portal(tmp_path, backends=None, settings=settings) as portal:
            await post(portal, "/v1/chat/completions", {"model": "mine", "messages": HI}, CONTEXT)
        assert "traceparent" not in {name.lower() for name in models.requests[-1].headers}


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    shown = "import sys, portal.app, portal.interfaces.application; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stdout.split()
    assert "portal.core.tracing" in loaded
    for sending in ("portal.observability.telemetry", "portal.observability.otlp", "opentelemetry.sdk"):
        assert sending not in loaded


async def test_the_context_goes_on_to_tool_servers_and_comes_in_from_their_protocol(tmp_path: Path) -> None:
    carried: list[dict[str, Any]] = []
    server = MCPServer("carrier", version="1")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    def fetch(ctx: Context) -> str:
        """Fetch something."""
        carried.append(dict(ctx.request_context.meta or {}))
        return "fetched"

    backend = ScriptedBackend(models=["tiny"])
    backend.script(ToolCallDelta(0, "c1", "carrier__fetch", "{}"))
    backend.answer("done")
    async with collecting() as collector, serve(server.streamable_http_app()) as url:
        servers = {"mcp": {"servers": {"carrier": {"url": f"{url}/mcp", "trusted": True}}}}
        async with open_test_portal(tmp_path, backends=[backend], settings={**to(collector), **servers}) as portal:
            async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
                await client.post("/portal/v1/mcp/servers/carrier/test", json={})
            async with client_of(portal) as client:
                await client.call_tool("ask", {"text": "go"}, meta=CONTEXT)  # type: ignore[arg-type]
            spans = await collector.until("invoke_agent auto")
    root, call = named(spans, "invoke_agent auto"), named(spans, "execute_tool carrier__fetch")
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
    assert carried[-1]["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"


async def test_lines_of_the_log_name_the_trace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend = ScriptedBackend(models=["tiny"])

    def broken(request: object) -> Any:
        raise RuntimeError("broken")

    backend.default = broken
    async with collecting() as collector, open_test_portal(tmp_path, backends=[backend], settings=to(collector)) as it:
        with pytest.raises(AssertionError, match="internal_error"):
            await post(it, "/v1/responses", {"model": "tiny", "input": "hi"}, CONTEXT)
        await collector.until("invoke_agent tiny")
    (line,) = [record for record in caplog.records if "failed unexpectedly" in record.message]
    assert line.trace == TRACE  # type: ignore[attr-defined]
    logging.getLogger("portal").warning("afterwards")
    assert not hasattr(caplog.records[-1], "trace")


# ------------------------------------------------------------------ a collector that does not do its part


@pytest.mark.parametrize("fault", ["hangs", "fails", "refuses", "away"])
async def test_a_bad_collector_slows_and_fails_nothing(
    tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("one")
    backend.answer("two")
    async with collecting() as collector:
        sent = to(collector, timeout=0.05)
        if fault == "away":
            sent["telemetry"]["endpoint"] = "http://127.0.0.1:9/v1/traces"
        collector.statuses.extend({"hangs": [0] * 9, "fails": [503] * 9, "refuses": [401] * 9, "away": []}[fault])
        async with open_test_portal(tmp_path, backends=[backend], settings=sent) as portal:
            for _ in range(2):
                await post(portal, "/v1/chat/completions", {"model": "tiny", "messages": HI})
                if fault != "away":
                    await collector.until_tried(1)
            while not (said := [one for one in caplog.records if "traces cannot be sent" in one.message]):
                await asyncio.sleep(0.01)
    assert len(said) == 1
    assert said[0].levelno == logging.WARNING


class Receiver:
    """What an Exporter posts to."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []

    async def __call__(self, body: bytes, headers: Mapping[str, str]) -> int:
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        if answer == 200:
            self.bodies.append(body)
            self.headers.append(headers)
        return answer


def exporter(receiver: Receiver, **fields: Any) -> Exporter:
    return Exporter(settings=TelemetrySettings(endpoint="http://collector", **fields), post=receiver)


def ended(sink: Exporter, name: str = "tiny") -> None:
    Ours("model", name, {}, trace=Trace(sink)).end()


async def test_what_was_not_taken_is_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    receiver = Receiver(BackendUnavailable("It is away."), 503)
    sink = exporter(receiver)
    ended(sink)
    assert not await sink.send()
    assert not await sink.send()
    assert await sink.send()
    assert len(receiver.bodies) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_what_is_refused_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(400)
    sink = exporter(receiver)
    ended(sink)
    assert await sink.send()
    assert receiver.bodies == []
    assert "status 400" in caplog.text


async def test_of_too_many_the_oldest_are_lost() -> None:
    receiver = Receiver()
    sink = exporter(receiver)
    for number in range(LONGEST_QUEUE + 3):
        ended(sink, f"model-{number}")
    await sink.aclose()
    everything = b"".join(receiver.bodies)
    assert b"chat model-2" + b"2" not in everything[:2000]
    assert everything.count(b"gen_ai.request.model") == LONGEST_QUEUE
    assert b"chat model-3:" not in everything
    assert re.search(rb"chat model-2[^0-9]", everything) is None


async def test_bodies_are_compressed_where_that_is_asked_for() -> None:
    receiver = Receiver()
    sink = exporter(receiver, compression="gzip")
    ended(sink)
    await sink.send()
    assert receiver.headers[0]["Content-Encoding"] == "gzip"


def test_values_of_every_kind_arrive_as_they_are() -> None:
    class Everything:
        content = False

        def samples(self, trace: bytes, parent: bool | None) -> bool:
            return True

        def take(self, ended: Ours) -> None:
            self.body = request_bytes(b"", "portal", "1", [span_bytes(ended, 0)])

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sink = Everything()
    values = {"a": -1, "b": 2**40, "c": 0.25, "d": True, "e": "é" * 600, "f": "\ud800", "g": None, "h": 200}
    one = Ours("tool", "x" * 2000, dict(values), trace=Trace(sink))
    one.fail("broken")
    one.end()
    (read,) = ExportTraceServiceRequest.FromString(sink.body).resource_spans[0].scope_spans[0].spans
    told = attributes(read)
    assert [told[f"portal.{name}"] for name in "abcdh"] == [-1, 2**40, 0.25, True, 200]
    assert told["portal.e"] == "é" * 500
    assert "portal.g" not in told
    assert (read.status.code, read.status.message) == (Status.STATUS_CODE_ERROR, "broken")
    assert told["error.type"] == "broken"


@pytest.mark.parametrize(
    ("name", "parent", "expected"),
    [
        ("always_on", False, True),
        ("always_off", True, False),
        ("parentbased_always_on", False, False),
        ("parentbased_always_off", True, True),
        ("parentbased_always_off", None, False),
        ("parentbased_traceidratio", None, True),
        ("nonsense", None, True),
        ("nonsense", False, False),
    ],
)
def test_samplers(name: str, parent: bool | None, expected: bool) -> None:
    assert sampler(name, 0.5)(bytes(8) + b"\x3f" + bytes(7), parent) is expected


def test_a_share_of_traces_is_that_share() -> None:
    samples = sampler("traceidratio", 0.25)
    assert samples(bytes(8) + (2**62 - 1).to_bytes(8, "big"), None)
    assert not samples(bytes(8) + (2**63).to_bytes(8, "big"), None)


# ------------------------------------------------------------------ the standard variables


def test_the_standard_variables() -> None:
    assert standard({}) == {}
    assert standard({"otel_exporter_otlp_endpoint": "http://c:4318/"}) == {"endpoint": "http://c:4318/v1/traces"}
    told = standard(
        {
            "otel_exporter_otlp_endpoint": "http://c:4318",
            "otel_exporter_otlp_traces_endpoint": "http://t:1/x",
            "otel_exporter_otlp_headers": "api-key=a%20b,empty",
            "otel_exporter_otlp_protocol": "http/protobuf",
            "otel_exporter_otlp_compression": "gzip",
            "otel_exporter_otlp_timeout": "2500",
            "otel_bsp_schedule_delay": "100",
            "otel_service_name": "home",
            "otel_resource_attributes": "service.name=other,host.name=den",
            "otel_traces_sampler": "traceidratio",
            "otel_traces_sampler_arg": "0.1",
        }
    )
    assert told == {
        "endpoint": "http://t:1/x",
        "headers": {"api-key": "a b"},
        "protocol": "http/protobuf",
        "compression": "gzip",
        "timeout": 2.5,
        "interval": 0.1,
        "service_name": "home",
        "resource": {"host.name": "den"},
        "sampler": "traceidratio",
        "ratio": 0.1,
    }
    assert standard({"otel_sdk_disabled": "true"}) == {"enabled": False}
    assert standard({"otel_instrumentation_genai_capture_message_content": "SPAN_ONLY"}) == {"content": True}
    assert standard({"otel_traces_exporter": "none"}) == {"enabled": False}
    assert standard({"otel_exporter_otlp_timeout": "soon", "otel_traces_sampler_arg": "7"}) == {}
    assert standard({"otel_resource_attributes": "service.name=other"}) == {"resource": {}, "service_name": "other"}


@pytest.mark.parametrize("fields", [{"enabled": False}, {"protocol": "grpc"}])
async def test_it_can_be_off_although_there_is_a_collector(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with collecting() as collector, open_test_portal(tmp_path, settings=to(collector, **fields)) as portal:
        await post(portal, "/v1/chat/completions", {"model": "portal-guide", "messages": HI}, CONTEXT)
    assert collector.tried == 0
