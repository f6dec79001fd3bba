"""What goes on, what happened, how much is logged, and what was used: for those who run Portal, and one's own."""

import asyncio
import csv
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.interfaces.web.conftest import Door

from portal.core.clock import micros
from portal.testing.portal import TestPortal
from portal.testing.records import OWNER, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")
ACTIVITY, EVENTS, LOG, USAGE = (f"/portal/v1/{name}" for name in ("activity", "activity/events", "log", "usage"))
DAY = 86_400_000_000


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)
    logging.getLogger("portal.routing").setLevel(logging.NOTSET)


async def events(me: Door, query: str, count: int = 1) -> list[Any]:
    """Once there are so many; they are stored a moment after they happen."""
    while len(found := (await me("GET", f"{EVENTS}?{query}"))["data"]) < count:
        await asyncio.sleep(0.02)
    return found


async def test_how_it_is(me: Door) -> None:
    seen = await me("GET", ACTIVITY)

    assert {one["name"]: one["up"] for one in seen["servers"]}["scripted"]
    assert seen["waiting"] == {"approvals": 0, "documents": 0, "media_queued": 0, "media_running": 0, "sessions": 0}
    assert (seen["database"]["kind"], seen["database"]["answers"]) == ("sqlite", True)
    assert seen["database"]["batches"]["worst"] >= seen["database"]["batches"]["median"] > 0
    assert seen["process"]["memory"] > 10_000_000
    assert (seen["calls"], seen["channels"], seen["tool_servers"]) == (0, [], [])


async def test_only_those_who_run_it_see_that(stranger: Door) -> None:
    for method, path in (("GET", ACTIVITY), ("GET", EVENTS), ("GET", LOG), ("PUT", LOG)):
        await stranger.refused(method, path, {"level": "debug"} if method == "PUT" else None, status=403)


async def test_what_is_notable_of_the_log_is_an_event(me: Door) -> None:
    log = logging.getLogger("portal.some.place")
    logging.getLogger().setLevel(logging.INFO)
    log.info("nothing to keep")
    log.info("first is up", extra={"event": "backend"})
    log.warning("careful with Bearer abcdefghijklmnop")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("broken")

    found = await events(me, "text=broken")
    assert (found[0]["kind"], found[0]["level"], found[0]["text"]) == ("error", "error", "broken (ValueError: why)")
    assert [one["text"] for one in await events(me, "kind=backend&text=FIRST")] == ["first is up"]
    assert [one["text"] for one in await events(me, "kind=warning&text=careful")] == ["careful with Bearer ..."]
    assert (await me("GET", f"{EVENTS}?text=nothing+to+keep"))["data"] == []
    page = await me("GET", f"{EVENTS}?limit=1")
    assert page["has_more"]
    assert (await me("GET", f"{EVENTS}?limit=1&cursor={page['next']}"))["data"][0]["id"] != page["data"][0]["id"]
    await me.refused("GET", f"{EVENTS}?kind=nonsense", status=400)


async def test_a_refused_sign_in_is_an_event(portal: TestPortal, me: Door) -> None:
    async with me.client.post("/sign-in/password", json={"login": "nobody", "password": "wrong"}) as answer:
        request_id = answer.headers["x-request-id"]

    (found, *_) = await events(me, "kind=sign-in")

    assert (found["text"], found["request"]) == ("a sign-in was refused: password", request_id)


async def test_the_level_of_the_log_is_changed(me: Door) -> None:
    before = await me("GET", LOG)
    assert before["level"] == "INFO"
    logging.getLogger().setLevel(logging.INFO)

    changed = await me("PUT", LOG, {"level": "debug", "logger": "portal.routing", "seconds": 60})

    (own,) = [one for one in changed["loggers"] if one["name"] == "portal.routing"]
    assert own["level"] == "DEBUG"
    assert own["until"] > micros() / 1e6
    assert logging.getLogger("portal.routing.registry").isEnabledFor(logging.DEBUG)
    assert (await events(me, "kind=settings"))[0]["text"] == "changed: PUT /portal/v1/log"
    for wrong in ({"level": "loud"}, {"level": "info", "logger": "a b"}, {"level": "info", "seconds": 0}):
        await me.refused("PUT", LOG, wrong, status=400)


@pytest.fixture
def used(portal: TestPortal) -> None:
    for owner, model in ((portal.owner, "=odd"), (portal.owner, "b"), (OWNER, "b")):
        call = usage(owner=owner, model=model, created_at=micros() - 3 * DAY, decision={"workspace": "auto"})
        portal.portal.storage.usage.begun()
        portal.portal.storage.usage.record(call)


@pytest.mark.usefixtures("used")
async def test_usage_is_ones_own_or_for_those_who_run_it_everybodys(
    portal: TestPortal, me: Door, stranger: Door
) -> None:
    mine = await me("GET", f"{USAGE}?by=workspace,model&model=b")
    assert [(row["workspace"], row["model"], row["calls"]) for row in mine["data"]] == [("auto", "b", 1)]
    people = (await me("GET", f"{USAGE}?by=user&everybody=true"))["data"]
    assert {row["user"] for row in people} >= {portal.owner, OWNER}
    assert {row["name"] for row in people if row["user"] == OWNER} == {""}
    assert (await me("GET", f"{USAGE}?by=model&user={OWNER}"))["data"][0]["calls"] == 1
    await stranger.refused("GET", f"{USAGE}?everybody=true", status=403)
    await stranger.refused("GET", f"{USAGE}?user={portal.owner}", status=403)
    assert (await stranger("GET", f"{USAGE}?by=user"))["data"] == []


@pytest.mark.usefixtures("used")
async def test_usage_as_a_table(me: Door) -> None:
    async with me.client.get(f"{USAGE}/csv?by=day,user,model&days=7") as answer:
        assert answer.headers["content-type"].startswith("text/csv")
        assert "portal-usage.csv" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(await answer.text())))

    assert {row["model"] for row in rows} >= {"'=odd", "b"}
    assert list(rows[0])[:4] == ["day", "user", "model", "name"]


async def test_days_are_named(me: Door) -> None:
    assert (await me("GET", f"{USAGE}?since=2020-01-01&until=2020-01-31&timezone=Asia/Tokyo"))["data"] == []
    for wrong, param in (
        ("timezone=Nowhere/Land", "timezone"),
        ("timezone=../../etc/passwd", "timezone"),
        ("by=day,nonsense", "by"),
        ("since=2020-02-01&until=2020-01-01", "since"),
        ("since=1900-01-01", "since"),
        ("since=soon", "since"),
        ("until=9999-12-31", "since"),
        ("nonsense=1", "nonsense"),
    ):
        assert (await me.refused("GET", f"{USAGE}?{wrong}", status=400))["param"] == param, wrong
