"""`/metrics`: open to this machine, closed to others, and true."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.tool_desk import Desk, calls

from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta
from portal.errors import BackendUnavailable
from portal.testing.portal import TestPortal, open_test_portal

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\b(?:portal|process)_[a-z_]+")
PARTS = ("_bucket", "_sum", "_count")


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


async def names(client: httpx.AsyncClient) -> set[str]:
    """Every figure that there is, as the manual names it."""
    text = (await client.get("/metrics")).text
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


async def test_both_formats_are_what_their_parsers_take(client: httpx.AsyncClient) -> None:
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    plain, open_metrics = await client.get("/metrics"), await client.get("/metrics", headers=asked)

    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in open_families(open_metrics.text)}
    assert families.keys() == {family.name for family in text_string_to_metric_families(plain.text)}
    assert all(family.documentation for family in families.values())


async def test_the_manual_names_each_figure_and_no_other(client: httpx.AsyncClient) -> None:
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    table = page.partition("## What is counted")[2].partition("\n## ")[0]
    told = {name for row in table.splitlines() if row.startswith("| `") for name in NAME.findall(row.split("|")[1])}

    assert told == await names(client)


async def test_the_dashboard_asks_for_what_there_is(client: httpx.AsyncClient) -> None:
    there = await samples(client)
    board = json.loads((ROOT / "deploy/grafana/portal.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]

    assert len(asked) > 30
    assert [one for one in asked if not set(NAME.findall(one)) or set(NAME.findall(one)) - there] == []
    used = {name for one in asked for name in NAME.findall(one)}
    assert await names(client) - {re.sub(r"_bucket$", "", name) for name in used} == set()
    assert {panel["title"] for panel in board["panels"] if panel["type"] == "row"} == {
        "Traffic",
        "Latency",
        "Tokens",
        "Model servers",
        "Tools",
        "Chat platforms",
        "Process",
    }


async def test_the_alerts_ask_for_what_there_is(client: httpx.AsyncClient) -> None:
    there = await samples(client)
    (group,) = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]

    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert set(NAME.findall(rule["expr"])) <= there, rule["alert"]


async def samples(client: httpx.AsyncClient) -> set[str]:
    """What can be asked for: of a histogram its parts."""
    text = (await client.get("/metrics")).text
    kinds = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    parts = {f"{name}{part}" for name, kind in kinds.items() if kind == "histogram" for part in PARTS}
    return parts | {name for name, kind in kinds.items() if kind != "histogram"}


async def test_what_went_wrong_and_what_tools_did(tmp_path: Path) -> None:
    desk, backend = Desk(), ScriptedBackend(models=["tiny"])
    for step in (BackendUnavailable("down"), calls(("break_down", "{}")), TextDelta("It is broken.")):
        backend.script(*(step if isinstance(step, list) else [step]))
    settings = {"faults": {"retries": 1, "retry_pause": 0.01, "breaker_failures": 2}}
    async with (
        open_test_portal(tmp_path / "data", backends=[backend], toolsets=desk.toolsets(), settings=settings) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
    ):
        ask = {"model": "auto", "input": "hi", "store": True}
        assert (await client.post("/v1/responses", json=ask)).json()["status"] == "completed"
        for _ in range(2):
            backend.script(BackendUnavailable("gone"))
        plain = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
        assert (await client.post("/v1/chat/completions", json=plain)).status_code >= 500
        text = (await client.get("/metrics")).text

    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    seen = {(one.name, *sorted(one.labels.values())): one.value for one in found}
    assert seen["portal_retries_total", "tiny"] >= 1
    assert seen["portal_tool_runs_total", "failed", "notes"] == 1
    assert seen["portal_tool_duration_seconds_count", "notes"] == 1
    assert seen["portal_breaker_state", "scripted", "tiny"] == 2
    assert seen["portal_backend_models_resting", "scripted"] == 1
    assert seen[("portal_database_batch_seconds_count",)] > 1
