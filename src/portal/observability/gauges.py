"""How things are at the moment, as figures: of the model servers, the channels, and what waits."""

from collections.abc import Iterable, Iterator, Sequence

from portal.core.backlog import Waiting
from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.supervisor import Part
from portal.observability.figures import Family, Pairs, Sample, counted, gauge

_CHANNEL = {"state": "", "events": 0, "repairs": 0}


def server_families(servers: Sequence[JsonObject]) -> Iterator[Family]:
    """Of model servers: {name, up, running, queued, max_concurrency, across_servers, running_elsewhere,
    breakers: [{model, state}], held}."""
    for name, field, what in (
        ("portal_backend_up", "up", "Whether a model server answers."),
        ("portal_backend_running", "running", "Calls under way on a model server."),
        ("portal_backend_queue_length", "queued", "Calls that wait for their turn on a model server."),
        ("portal_backend_slots", "max_concurrency", "Calls that a model server takes at once; 0 for any number."),
        ("portal_backend_slots_shared", "across_servers", "Whether these are counted over all servers together."),
    ):
        yield gauge(name, what, *((_one("backend", server["name"]), int(server[field])) for server in servers))
    resting = [(one["name"], sum(breaker["state"] != "closed" for breaker in one["breakers"])) for one in servers]
    yield gauge(
        "portal_backend_models_resting",
        "Models of a server whose breaker is open or half-open.",
        *((_one("backend", name), count) for name, count in resting),
    )
    yield Family(
        "portal_breaker_state",
        "gauge",
        "The breaker of a model that failed lately: 0 closed, 1 half-open, 2 open.",
        list(_breakers(servers)),
    )
    yield gauge(
        "portal_model_memory_bytes",
        "Memory that a loaded model takes, as its server says.",
        *(
            ([("backend", one["name"]), ("model", model)], size)
            for one in servers
            for model, size in one["held"].items()
        ),
    )


def part_families(parts: Sequence[Part]) -> Iterator[Family]:
    """Of what goes on beside the requests."""
    yield gauge(
        "portal_part_up",
        "Whether a part of Portal is going.",
        *((_one("part", part.name), int(part.state in ("running", "done"))) for part in parts),
    )
    yield counted(
        "portal_part_restarts",
        "Times a part failed and was begun again.",
        *((_one("part", part.name), part.restarts) for part in parts),
    )


_STATES = {"closed": 0, "half-open": 1, "open": 2}


def _breakers(servers: Iterable[JsonObject]) -> Iterator[Sample]:
    for server in servers:
        for breaker in server["breakers"]:
            pairs = [("backend", server["name"]), ("model", breaker["model"])]
            yield "", pairs, _STATES[breaker["state"]]


def channel_families(channels: Iterable[JsonObject]) -> Iterator[Family]:
    """Of chat platforms: {name, state, events, repairs}."""
    known: list[JsonObject] = [{**_CHANNEL, **one} for one in channels]
    yield gauge(
        "portal_channel_up",
        "Whether a chat platform is connected and heard.",
        *((_one("channel", one["name"]), int(one["state"] == "up")) for one in known),
    )
    for name, field, what in (
        ("portal_channel_events", "events", "Events accepted from a chat platform."),
        ("portal_channel_repairs", "repairs", "Times a chat platform was deaf and connected anew."),
    ):
        yield counted(name, what, *((_one("channel", one["name"]), one[field]) for one in known))


def backlog_families(waiting: Waiting, now: int | None = None) -> Iterator[Family]:
    """Of what waits; `now` in microseconds."""
    now = micros() if now is None else now
    yield gauge("portal_approvals_waiting", "Questions that people have not answered.", ((), waiting.approvals))
    yield gauge(
        "portal_jobs",
        "Work in the background that waits or runs.",
        ([("queue", "knowledge"), ("status", "waiting")], waiting.documents),
        ([("queue", "media"), ("status", "waiting")], waiting.media_queued),
        ([("queue", "media"), ("status", "running")], waiting.media_running),
    )
    yield gauge("portal_sessions", "Browsers that are signed in.", ((), waiting.sessions))
    yield gauge(
        "portal_channel_unsent",
        "Answers that a chat platform has not taken yet.",
        *((_one("channel", one.channel), one.count) for one in waiting.unsent),
    )
    yield gauge(
        "portal_channel_unsent_age_seconds",
        "Age of the oldest answer that a chat platform has not taken yet.",
        *((_one("channel", one.channel), max(now - one.since, 0) / 1e6) for one in waiting.unsent),
    )


def _one(label: str, value: str) -> Pairs:
    return [(label, value)]
