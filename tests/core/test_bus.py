"""What changed, told to whoever watches."""

import asyncio
from typing import Any

from portal.core.bus import Bus
from portal.testing.records import OWNER, STRANGER


def heard(queue: asyncio.Queue[Any]) -> list[str]:
    return [event["type"] for event in (queue.get_nowait() for _ in range(queue.qsize()))]


def test_a_subscriber_that_is_behind_is_told_so() -> None:
    bus = Bus()
    with bus.subscribe(OWNER) as mine, bus.subscribe(STRANGER) as theirs:
        for _ in range(257):
            bus.publish(OWNER, "count")
        bus.publish(None, "for all")
        assert heard(mine) == ["resync", "count", "for all"]
        assert heard(theirs) == ["for all"]
        bus.close()
        assert (mine.get_nowait(), theirs.get_nowait()) == (None, None)
    with bus.subscribe(OWNER) as late:
        assert late.get_nowait() is None
    bus.publish(OWNER, "to nobody")


def test_who_was_away_goes_on_where_it_was() -> None:
    bus = Bus()
    with bus.subscribe(OWNER) as mine:
        bus.publish(OWNER, "first")
        seen = mine.get_nowait()
    bus.publish(OWNER, "second", at=1)
    bus.publish(STRANGER, "not for them")
    bus.publish(None, "third")

    assert seen is not None
    with bus.subscribe(OWNER, seen["sequence_number"]) as mine:
        bus.publish(OWNER, "fourth")
        assert heard(mine) == ["second", "third", "fourth"]


def test_what_is_not_kept_any_more_has_to_be_loaded_again() -> None:
    bus = Bus()
    bus.publish(OWNER, "first")
    with bus.subscribe(OWNER) as mine:
        bus.publish(OWNER, "second")
        seen = mine.get_nowait()
    assert seen is not None
    for _ in range(1100):
        bus.publish(STRANGER, "count")

    for after in (seen["sequence_number"], 0, seen["sequence_number"] + 10_000_000):
        with bus.subscribe(OWNER, after) as mine:
            assert heard(mine) == ["resync"]
