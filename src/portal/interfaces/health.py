"""`/health`, `/health/live`, `/health/ready`: for load balancers, containers and whoever else asks.

They are open to everyone, so they tell states and nothing else; the details are an administrator's, at
`/portal/v1/health`.
"""

from collections.abc import Callable, Iterable, Sequence

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from starlette.routing import Route

from portal.core.health import Condition, Health
from portal.core.items import JsonObject
from portal.interfaces.late import LateRouter
from portal.interfaces.web.requests import Who
from portal.observability.figures import OPEN_METRICS, TEXT
from portal.observability.metrics import Metrics
from portal.security.admission import METRICS

_UNAVAILABLE = 503
_RETRY = {"retry-after": "5", "cache-control": "no-store"}
_FRESH = {"cache-control": "no-store"}


def health_routes(*, health: Health, channels: Callable[[], Iterable[JsonObject]]) -> Sequence[Route]:
    """The open ones. `channels` tells how each chat platform is."""

    async def show(request: Request) -> JSONResponse:
        """How Portal is, in one word, and which channels hear; 503 while it cannot serve."""
        status = health.status(health.conditions())
        states = {one["name"]: one["state"] for one in channels()}
        return _answer({"status": status, **({"channels": states} if states else {})}, ready=status != "down")

    async def live(request: Request) -> JSONResponse:
        """The process answers; nothing more is asked, since starting it anew mends nothing else."""
        return _answer({"status": "ok"}, ready=True)

    async def ready(request: Request) -> JSONResponse:
        """Whether work should be sent here."""
        reasons = health.reasons()
        return _answer(
            {"status": "not ready" if reasons else "ok", **({"reasons": reasons} if reasons else {})}, ready=not reasons
        )

    return [Route("/health", show), Route("/health/live", live), Route("/health/ready", ready)]


def _answer(content: JsonObject, *, ready: bool) -> JSONResponse:
    return JSONResponse(content, status_code=200 if ready else _UNAVAILABLE, headers=_FRESH if ready else _RETRY)


def metrics_route(metrics: Metrics) -> Route:
    """The figures, in Prometheus' text format."""

    async def show(request: Request) -> Response:
        open_metrics = "application/openmetrics-text" in request.headers.get("accept", "")
        return Response(
            await metrics.render(open_metrics=open_metrics), media_type=OPEN_METRICS if open_metrics else TEXT
        )

    return Route(METRICS, show)


def detail_routes(*, health: Health) -> APIRouter:
    """For those who run this installation (see `security.access`)."""
    router = LateRouter(prefix="/portal/v1", tags=["health"])

    @router.get("/health")
    async def show_all(who: Who) -> JsonObject:
        """Everything that is known, and what mends it."""
        conditions = health.conditions()
        return {
            "status": health.status(conditions),
            "ready": not health.reasons(),
            "data": [_view(one) for one in conditions],
        }

    return router


def _view(one: Condition) -> JsonObject:
    return {"kind": one.kind, "name": one.name, "state": one.state, "detail": one.detail, "remedy": one.remedy}
