from collections.abc import Iterable, Sequence

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from portal.core.backlog import Unsent, Waiting
from portal.core.records import UsageRecord
from portal.observability.figures import Family, gauge, written
from portal.observability.gauges import backlog_families, channel_families, server_families
from portal.observability.meters import MOST, Meters
from portal.observability.metrics import Metrics
from portal.testing.records import usage


class Log:
    """A usage log that remembers."""

    def __init__(self) -> None:
        self.begins = 0
        self.records: list[UsageRecord] = []

    def begun(self) -> None:
        self.begins += 1

    def record(self, usage: UsageRecord) -> None:
        self.records.append(usage)


Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def read(text: str, *, open_metrics: bool = False) -> Samples:
    """Each sample by its name and labels."""
    found: Samples = {}
    for family in (open_families if open_metrics else text_string_to_metric_families)(text):
        assert family.documentation
        assert family.type != "unknown"
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def parsed(metrics: Metrics) -> Samples:
    """What it says, which is the same in both formats."""
    plain = read(await metrics.render())
    assert read(await metrics.render(open_metrics=True), open_metrics=True) == plain
    return plain


def told(families: Iterable[Family]) -> Samples:
    families = list(families)
    plain = read(written(families))
    assert read(written(families, open_metrics=True), open_metrics=True) == plain
    return plain


async def test_nothing_yet() -> None:
    assert await parsed(Metrics(log=Log())) == {"portal_requests_running": {(): 0}}


async def test_calls_are_counted_and_handed_on() -> None:
    log = Log()

    async def more() -> Sequence[Family]:
        up = [([("backend", name)], there) for name, there in (("ollama", 1), ('odd "name"\\\n', 0))]
        return [gauge("portal_backend_up", "Whether it answers.", *up)]

    metrics = Metrics(log=log, sources=[more])
    first = usage(
        model="a", input_tokens=3, output_tokens=8, milliseconds=30, status="completed", first_milliseconds=20
    )
    second = usage(model="a", input_tokens=2, output_tokens=0, milliseconds=400_000, status="failed")
    for _ in range(3):
        metrics.begun()
    metrics.record(first)
    metrics.record(second)

    seen = await parsed(metrics)
    door = ("door", first.door)
    assert seen["portal_requests_total"] == {
        (door, ("model", "a"), ("status", "completed")): 1,
        (door, ("model", "a"), ("status", "failed")): 1,
    }
    assert seen["portal_tokens_total"] == {
        (("direction", "input"), ("model", "a")): 5,
        (("direction", "output"), ("model", "a")): 8,
    }
    buckets = {dict(labels)["le"]: count for labels, count in seen["portal_request_duration_seconds_bucket"].items()}
    assert (buckets["0.025"], buckets["0.05"], buckets["300.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    assert seen["portal_request_duration_seconds_sum"] == {(door, ("model", "a")): 400.03}
    assert seen["portal_request_duration_seconds_count"] == {(door, ("model", "a")): 2}
    assert seen["portal_time_to_first_token_seconds_count"] == {(door, ("model", "a")): 1}
    assert seen["portal_tokens_per_second_sum"] == {(("model", "a"),): 800}
    assert seen["portal_requests_running"] == {(): 1}
    assert seen["portal_backend_up"] == {(("backend", "ollama"),): 1, (("backend", 'odd "name"\\\n'),): 0}

    assert log.begins == 3
    assert log.records == [first, second]


def test_what_the_parts_report() -> None:
    meters = Meters()
    meters.retried("a", True)
    meters.retried("a", False)
    meters.retried("a", False)
    meters.tool("web", "completed", 0.2)
    meters.waited("ollama", 3)
    meters.stored(0.002)
    meters.delayed(0.004)

    seen = told(meters.families())

    model = (("model", "a"),)
    assert (seen["portal_retries_total"], seen["portal_fallbacks_total"]) == ({model: 1}, {model: 2})
    assert seen["portal_tool_runs_total"] == {(("family", "web"), ("status", "completed")): 1}
    assert seen["portal_tool_duration_seconds_sum"] == {(("family", "web"),): 0.2}
    assert seen["portal_backend_wait_seconds_count"] == {(("backend", "ollama"),): 1}
    assert seen["portal_database_batch_seconds_bucket"][(("le", "0.0025"),)] == 1
    assert seen["portal_event_loop_delay_seconds_sum"] == {(): 0.004}
    assert (list(meters.batches), list(meters.delays)) == ([0.002], [0.004])


def test_labels_that_others_choose_are_bounded() -> None:
    meters = Meters()
    for number in range(MOST + 3):
        meters.tool(f"n{number}", "completed", 1)
    meters.tool("n0", "completed", 1)

    seen = told(meters.families())

    runs = {dict(labels)["family"]: n for labels, n in seen["portal_tool_runs_total"].items()}
    assert len(runs) == len(seen["portal_tool_duration_seconds_sum"]) == MOST + 1
    assert (runs["other"], runs["n0"]) == (3, 2)


def test_how_the_servers_are() -> None:
    seen = told(
        server_families(
            [
                {
                    "name": "ollama",
                    "up": True,
                    "running": 2,
                    "queued": 1,
                    "max_concurrency": 2,
                    "across_servers": True,
                    "running_elsewhere": 1,
                    "breakers": [{"model": "a", "state": "open"}, {"model": "b", "state": "closed"}],
                    "held": {"a": 5_000_000_000},
                }
            ]
        )
    )

    backend = ("backend", "ollama")
    assert seen["portal_backend_queue_length"] == {(backend,): 1}
    assert seen["portal_backend_models_resting"] == {(backend,): 1}
    assert (seen["portal_backend_slots"], seen["portal_backend_slots_shared"]) == ({(backend,): 2}, {(backend,): 1})
    assert seen["portal_breaker_state"] == {(backend, ("model", "a")): 2, (backend, ("model", "b")): 0}
    assert seen["portal_model_memory_bytes"] == {(backend, ("model", "a")): 5_000_000_000}


def test_how_channels_and_what_waits_are() -> None:
    seen = told(
        [
            *channel_families(
                [{"name": "slack", "state": "up", "events": 7, "repairs": 1}, {"name": "bad", "state": "broken"}]
            ),
            *backlog_families(
                Waiting(approvals=1, documents=2, unsent=[Unsent(channel="slack", count=3, since=1_000_000)]),
                now=3_500_000,
            ),
        ]
    )

    slack, bad = (("channel", "slack"),), (("channel", "bad"),)
    assert seen["portal_channel_up"] == {slack: 1, bad: 0}
    assert seen["portal_channel_events_total"] == {slack: 7, bad: 0}
    assert seen["portal_approvals_waiting"] == {(): 1}
    assert seen["portal_jobs"][(("queue", "knowledge"), ("status", "waiting"))] == 2
    assert seen["portal_channel_unsent"] == {slack: 3}
    assert seen["portal_channel_unsent_age_seconds"] == {slack: 2.5}
