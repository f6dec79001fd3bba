"""What the parts of a Portal know of themselves, as conditions of its health."""

from collections.abc import Iterable, Iterator

from portal.channels.house import Channels
from portal.core.channels import REMEDIES
from portal.core.health import Condition, HealthCheck, State
from portal.core.items import JsonObject
from portal.core.supervisor import Supervisor
from portal.mcp.servers import ToolServers
from portal.routing.registry import BackendStatus, Registry


def checks(
    *, supervisor: Supervisor, registry: Registry, channels: Channels, tool_servers: ToolServers
) -> Iterable[HealthCheck]:
    """Those of parts, model servers, channels and tool servers."""
    return (
        lambda: _parts(supervisor),
        lambda: _servers(registry.status()),
        lambda: map(_channel, channels.status()),
        lambda: _tools(tool_servers.states()),
    )


def _parts(supervisor: Supervisor) -> Iterator[Condition]:
    for part in supervisor.parts():
        times = "once" if part.restarts == 1 else f"{part.restarts} times"
        again = f"It was begun again {times}." if part.restarts else ""
        if part.state == "given_up":
            why = f"It failed too often and is given up. {part.error}"
            yield Condition(
                kind="part", name=part.name, state="degraded", detail=why, remedy="Look into the log, restart Portal."
            )
        elif part.state == "waiting":
            why = f"It failed and begins again in a moment. {part.error}"
            yield Condition(kind="part", name=part.name, state="degraded", detail=why, remedy="Look into the log.")
        else:
            yield Condition(kind="part", name=part.name, detail=again)


def _servers(known: Iterable[BackendStatus]) -> Iterator[Condition]:
    """Usual places where nobody was ever found are nobody's trouble; one that somebody closed is worth a note."""
    for one in known:
        if one.source == "found" and one.status == "waiting" and not one.models:
            continue
        yield _server(one)


def _server(one: BackendStatus) -> Condition:
    if one.resting and one.status == "up":
        names = ", ".join(rest.model for rest in one.resting)
        why = f"Its models rest after too many failures: {names}."
        return Condition(
            kind="backend", name=one.name, state="degraded", detail=why, remedy="They are tried again by themselves."
        )
    if one.status == "up" or one.models:
        return Condition(kind="backend", name=one.name, detail=one.error or "")
    state: State = "note" if one.source == "found" or one.status == "waiting" else "degraded"
    remedy = f"Start it at {one.url}" if one.url else "See what it says"
    if one.source == "page":
        remedy += f", or take it out: portal backends remove {one.name}"
    elif one.source == "settings":
        remedy += ", or take it out of the settings"
    return Condition(kind="backend", name=one.name, state=state, detail=one.error or "", remedy=f"{remedy}.")


def _channel(one: JsonObject) -> Condition:
    fine = one["state"] in ("up", "starting")
    detail = "" if fine else f"It is {one['state']}. {one['detail']}".strip()
    remedy = REMEDIES.get(one["state"], "")
    return Condition(kind="channel", name=one["name"], state="ok" if fine else "degraded", detail=detail, remedy=remedy)


def _tools(known: Iterable[tuple[str, str, str]]) -> Iterator[Condition]:
    for name, status, error in known:
        if status in ("down", "wrong"):
            remedy = f"portal mcp test {name}" if status == "down" else "Mend it in mcp.json, then: portal mcp reload"
            yield Condition(kind="tool_server", name=name, state="degraded", detail=error, remedy=remedy)
        else:
            yield Condition(kind="tool_server", name=name)
