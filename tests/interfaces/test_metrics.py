"""`/metrics`: open to this machine, closed to others, and true."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta
from portal.testing.portal import TestPortal, open_test_portal


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("Hel"), TextDelta("lo"))
    backend.answer("Hello")
    backend.answer("Hello")
    async with open_test_portal(tmp_path / "data", backends=[backend]) as running:
        yield running


@pytest.fixture
async def client(portal: TestPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=portal.url) as made:
        yield made


async def test_what_calls_were_like(portal: TestPortal, client: httpx.AsyncClient) -> None:
    ask = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
    for path, body in (
        ("/v1/chat/completions", {**ask, "stream": True}),
        ("/v1/chat/completions", ask),
        ("/v1/responses", {"model": "tiny", "input": "hi"}),
    ):
        assert (await client.post(path, json=body, headers=portal.headers)).status_code == 200

    answer = await client.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    requests = {(s.labels["door"], s.labels["status"]): s.value for s in samples if s.name == "portal_requests_total"}
    assert requests == {("chat", "completed"): 2, ("responses", "completed"): 1}
    firsts = {s.labels["door"]: s.value for s in samples if s.name == "portal_time_to_first_token_seconds_count"}
    assert firsts == {"chat": 1, "responses": 1}
    assert {s.labels["backend"]: s.value for s in samples if s.name == "portal_backend_up"}["scripted"] == 1
    assert [s.value for s in samples if s.name == "portal_requests_running"] == [0]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.5"},
        {"Forwarded": "for=203.0.113.5"},
        {"X-Real-IP": "203.0.113.5"},
        {"Host": "192.0.2.7:8081"},
        {"Origin": "https://evil.example"},
    ],
)
async def test_others_need_a_key(portal: TestPortal, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.get("/metrics", headers=headers)).status_code == 401
    assert (await client.get("/metrics", headers={**headers, **portal.headers})).status_code == 200
