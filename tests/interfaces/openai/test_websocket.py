import asyncio
import json

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from tests.interfaces.openai.conftest import error_of
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from portal.backends.scripted import CUT
from portal.core.model import TextDelta
from portal.errors import BackendUnavailable
from portal.interfaces.openai.responses import responses_routes
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


class Socket:
    def __init__(self, connection, spec):
        self.connection = connection
        self.spec = spec

    async def send(self, **body):
        event = {"type": "response.create", "model": "tiny", **body}
        self.spec.check("WebSocketResponseCreateEvent", event)
        await self.connection.send(json.dumps(event))

    async def next(self):
        event = json.loads(await self.connection.recv())
        if event["type"] == "error":
            self.spec.check("WebSocketErrorEvent", event)
        else:
            self.spec.check_event(event)
        return event

    async def turn(self, *, whole=False, **body):
        """The events of one turn, its last one first checked as a stream."""
        await self.send(**body)
        events = [await self.next()]
        while events[-1]["type"] not in TERMINAL:
            events.append(await self.next())
        if events[-1]["type"] != "error":
            self.spec.check_stream(events, whole=whole)
        return events


def opened(portal, query=""):
    address = portal.url.replace("http", "ws") + "/v1/responses" + query
    return connect(address, additional_headers=portal.headers)


@pytest_asyncio.fixture(loop_scope="module")
async def socket(portal, spec):
    async with opened(portal) as connection:
        yield Socket(connection, spec)


def contents(backend):
    return [message["content"] for message in backend.requests[-1].messages]


async def test_turns_one_after_the_other(socket, backend):
    backend.answer("One")
    backend.answer("Two")
    first = (await socket.turn(input="Hi"))[-1]["response"]
    assert first["output"][0]["content"][0]["text"] == "One"
    second = (await socket.turn(input="More", previous_response_id=first["id"]))[-1]["response"]
    assert second["previous_response_id"] == first["id"]
    assert contents(backend) == ["Hi", "One", "More"]


async def test_portals_own_events_on_request(portal, backend, spec):
    backend.answer("One")
    async with opened(portal, "?portal_events=1") as connection:
        events = await Socket(connection, spec).turn(input="Hi", whole=True)
    assert "portal:route" in [event["type"] for event in events]


async def test_a_chain_that_is_not_stored_lives_in_the_connection(portal, socket, backend, spec):
    for word in ("One", "Two", "Three", "Four"):
        backend.answer(word)
    first = (await socket.turn(input="Hi", store=False))[-1]["response"]
    events = await socket.turn(input="More", store=False, previous_response_id=first["id"])
    second = events[-1]["response"]
    assert events[0]["response"]["previous_response_id"] == second["previous_response_id"] == first["id"]
    assert contents(backend) == ["Hi", "One", "More"]
    third = (await socket.turn(input="Still", store=False, previous_response_id=second["id"]))[-1]["response"]
    assert contents(backend) == ["Hi", "One", "More", "Two", "Still"]
    assert (await socket.turn(input="Old", store=False, previous_response_id=first["id"]))[-1]["error"]["code"] == (
        "previous_response_not_found"
    )
    async with opened(portal) as connection:
        elsewhere = await Socket(connection, spec).turn(input="Hi", previous_response_id=third["id"])
    assert elsewhere[-1]["error"]["code"] == "previous_response_not_found"
    assert elsewhere[-1]["status"] == 400


async def test_a_stored_turn_takes_its_unstored_chain_along(socket, backend, portal):
    backend.answer("One")
    backend.answer("Two")
    backend.answer("Three")
    first = (await socket.turn(input="Hi", store=False))[-1]["response"]
    stored = (await socket.turn(input="Keep", previous_response_id=first["id"]))[-1]["response"]
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client:
        body = {"model": "tiny", "input": "More", "previous_response_id": stored["id"]}
        assert (await client.post("/v1/responses", json=body)).status_code == 200
    assert contents(backend) == ["Hi", "One", "Keep", "Two", "More"]


async def test_going_on_after_compacting(socket, backend, portal):
    backend.answer("One")
    backend.answer("They said hi.")
    backend.answer("Two")
    first = (await socket.turn(input="Hi"))[-1]["response"]
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client:
        body = {"model": "tiny", "previous_response_id": first["id"]}
        compacted = (await client.post("/v1/responses/compact", json=body)).json()
    again = {"type": "message", "role": "user", "content": "Go on"}
    done = (await socket.turn(input=[*compacted["output"], again]))[-1]
    assert done["type"] == "response.completed"
    assert any("They said hi." in content for content in contents(backend))


class TestErrors:
    @pytest.mark.parametrize(
        ("frame", "code", "param"),
        [
            ("{", "invalid_request_error", None),
            ('{"model": "tiny"}', "missing_required_parameter", "type"),
            ('{"type": "response.steer"}', "invalid_value", "type"),
            (b"{}", "invalid_frame", None),
            ('{"type": "response.create", "model": "tiny"}', "missing_required_parameter", "input"),
            ('{"type": "response.create", "model": "tiny", "input": "", "background": true}',
             "unsupported_parameter", "background"),
            ('{"type": "response.create", "model": "nope", "input": "Hi"}', "model_not_found", "model"),
        ],
    )  # fmt: skip
    async def test_the_connection_outlives_a_bad_request(self, socket, backend, frame, code, param):
        await socket.connection.send(frame)
        refused = await socket.next()
        assert (refused["error"]["code"], refused["error"]["param"]) == (code, param)
        assert refused["status"] == (404 if code == "model_not_found" else 400)
        backend.answer("One")
        assert (await socket.turn(input="Hi"))[-1]["type"] == "response.completed"

    async def test_a_second_create_while_one_runs(self, socket, backend):
        gate = asyncio.Event()
        backend.script(TextDelta("One"), gate)
        await socket.send(input="Hi")
        await backend.wait_running(1)
        await socket.send(input="Me too")
        events = [await socket.next()]
        while events[-1]["type"] != "error":
            events.append(await socket.next())
        assert events[-1]["error"]["code"] == "response_in_progress"
        assert events[-1]["status"] == 409
        gate.set()
        while events[-1]["type"] != "response.completed":
            events.append(await socket.next())
        assert len(backend.requests) == 1

    async def test_a_failed_turn_is_forgotten(self, socket, backend):
        backend.answer("One")
        backend.script(TextDelta("T"), CUT)
        first = (await socket.turn(input="Hi", store=False))[-1]["response"]
        failed = await socket.turn(input="More", store=False, previous_response_id=first["id"])
        assert failed[-1]["type"] == "response.failed"
        again = await socket.turn(input="More", store=False, previous_response_id=first["id"])
        assert again[-1]["error"]["code"] == "previous_response_not_found"

    async def test_a_turn_that_cannot_begin_is_forgotten_too(self, socket, backend):
        backend.answer("One")
        first = (await socket.turn(input="Hi", store=False))[-1]["response"]
        refused = await socket.turn(input="More", store=False, previous_response_id=first["id"], model="nope")
        assert refused[-1]["error"]["code"] == "model_not_found"
        again = await socket.turn(input="More", store=False, previous_response_id=first["id"])
        assert again[-1]["error"]["code"] == "previous_response_not_found"

    async def test_a_backend_that_is_down(self, socket, backend):
        backend.script(BackendUnavailable("It is down."))
        assert (await socket.turn(input="Hi"))[-1]["type"] == "response.failed"

    async def test_without_a_key(self, portal):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(portal.url.replace("http", "ws") + "/v1/responses"):
                pass
        assert refused.value.response.status_code == 401


async def test_a_client_that_leaves_stops_the_model(portal, backend, spec):
    backend.script(TextDelta("One"), asyncio.Event())
    async with opened(portal) as connection:
        await Socket(connection, spec).send(input="Hi")
        await backend.wait_running(1)
    await backend.wait_running(0)
    assert backend.cancelled == 1


async def test_a_frame_may_be_as_large_as_a_body(socket, portal, backend, tmp_path):
    await socket.connection.send(json.dumps({"type": "response.create", "model": "none", "input": "x" * 17 * 2**20}))
    assert (await socket.next())["error"]["code"] == "model_not_found"
    small = {"server": {"max_body": 2**12}}
    async with open_test_portal(tmp_path / "small", backends=[backend], settings=small) as other, opened(other) as one:
        await one.send("x" * 2**12)
        assert json.loads(await one.recv())["type"] == "error"
        await one.send("x" * (2**12 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await one.recv()
    assert closed.value.rcvd.code == 1009


async def test_one_that_is_not_stored_can_be_cancelled(socket, api, backend):
    backend.script(TextDelta("One"), asyncio.Event())
    await socket.send(input="Hi", store=False)
    begun = (await socket.next())["response"]
    await backend.wait_running(1)
    answer = await api.post(f"/v1/responses/{begun['id']}/cancel")
    assert answer.status_code == 200, answer.text
    stopped = answer.json()
    api.spec.check("ResponseResource", {**stopped, "status": "incomplete"})
    assert (stopped["id"], stopped["status"], stopped["store"]) == (begun["id"], "cancelled", False)
    error_of(await api.post(f"/v1/responses/{begun['id']}/cancel"), 404)


class TestLifetime:
    """A connection ends after its time, here a moment instead of an hour."""

    @pytest.fixture
    def ending(self, portal):
        routes = responses_routes(
            agent=portal.portal.agent,
            responses=portal.portal.storage.responses,
            collections=portal.portal.storage.collections,
            files=portal.portal.storage.files,
            socket_lifetime=0.2,
        )
        return Starlette(routes=[route for route in routes if route.name == "responses_socket"])

    @pytest.mark.parametrize("busy", [True, False])
    async def test_it_is_told_why(self, portal, ending, backend, spec, busy):
        if busy:
            backend.script(TextDelta("One"), asyncio.Event())
        sent = []
        incoming = asyncio.Queue()
        create = {"type": "response.create", "model": "tiny", "input": "Hi"}
        incoming.put_nowait({"type": "websocket.connect"})
        if busy:
            incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(create)})

        async def send(message):
            sent.append(message)

        caller = type("Caller", (), {"owner": portal.owner, "kind": "key"})()
        scope = {
            "type": "websocket",
            "path": "/v1/responses",
            "headers": [],
            "query_string": b"",
            "state": {"caller": caller},
        }
        await ending(scope, incoming.get, send)
        told = json.loads(sent[-2]["text"])
        spec.check("WebSocketErrorEvent", told)
        assert told["error"]["code"] == "websocket_connection_limit_reached"
        assert sent[-1] == {"type": "websocket.close", "code": 1000, "reason": ""}
        await backend.wait_running(0)


async def test_a_server_that_stops_ends_the_connection(tmp_path, backend, spec):
    async with open_test_portal(tmp_path / "other", backends=[backend]) as portal:
        connection = await opened(portal)
        backend.answer("One")
        await Socket(connection, spec).turn(input="Hi")
    with pytest.raises(ConnectionClosed):
        await connection.recv()
