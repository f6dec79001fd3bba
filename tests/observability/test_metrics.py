from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from portal.core.items import JsonObject
from portal.core.records import UsageRecord
from portal.observability.metrics import Metrics
from portal.testing.records import OWNER, usage


class Log:
    """A usage log that remembers."""

    def __init__(self) -> None:
        self.begins = 0
        self.records: list[UsageRecord] = []

    def begun(self) -> None:
        self.begins += 1

    def record(self, usage: UsageRecord) -> None:
        self.records.append(usage)

    async def summary(self, owner: str, since: int) -> Sequence[JsonObject]:
        return [{"owner": owner, "since": since}]


def parsed(metrics: Metrics) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Each sample by its name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(metrics.render()):
        assert family.documentation
        assert family.type != "unknown"
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_nothing_yet() -> None:
    assert parsed(Metrics(log=Log(), backends=dict)) == {"portal_requests_running": {(): 0}}


async def test_calls_are_counted_and_handed_on() -> None:
    log = Log()
    metrics = Metrics(log=log, backends=lambda: {"ollama": True, 'odd "name"\\\n': False})
    first = usage(
        model="a", input_tokens=3, output_tokens=5, milliseconds=30, status="completed", first_milliseconds=20
    )
    second = usage(model="a", input_tokens=2, output_tokens=0, milliseconds=400_000, status="failed")
    for _ in range(3):
        metrics.begun()
    metrics.record(first)
    metrics.record(second)

    seen = parsed(metrics)
    door = ("door", first.door)
    assert seen["portal_requests_total"] == {
        (door, ("model", "a"), ("status", "completed")): 1,
        (door, ("model", "a"), ("status", "failed")): 1,
    }
    assert seen["portal_tokens_total"] == {
        (("direction", "input"), ("model", "a")): 5,
        (("direction", "output"), ("model", "a")): 5,
    }
    buckets = {dict(labels)["le"]: count for labels, count in seen["portal_request_duration_seconds_bucket"].items()}
    assert (buckets["0.025"], buckets["0.05"], buckets["300.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    assert seen["portal_request_duration_seconds_sum"] == {(door, ("model", "a")): 400.03}
    assert seen["portal_request_duration_seconds_count"] == {(door, ("model", "a")): 2}
    assert seen["portal_time_to_first_token_seconds_count"] == {(door, ("model", "a")): 1}
    assert seen["portal_requests_running"] == {(): 1}
    assert seen["portal_backend_up"] == {(("backend", "ollama"),): 1, (("backend", 'odd "name"\\\n'),): 0}

    assert log.begins == 3
    assert log.records == [first, second]
    assert await metrics.summary(OWNER, 5) == [{"owner": OWNER, "since": 5}]
