from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from portal.core.items import JsonObject
from portal.errors import PortalError
from portal.interfaces.web.embedder import embedder_routes
from portal.security.credentials import Caller


class Choice:
    """Remembers what was chosen."""

    chosen = "own"

    async def status(self) -> JsonObject:
        return {"name": "own", "wanted": self.chosen}

    async def choose(self, model: str) -> None:
        self.chosen = model


async def is_admin(caller: Caller) -> bool:
    return caller.owner == "admin"


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(embedder_routes(choice=Choice(), is_admin=is_admin))

    @app.middleware("http")
    async def caller(request: Request, call_next: RequestResponseEndpoint) -> Response:
        request.state.caller = Caller(owner=request.headers["x-owner"], credential_id="c", kind="session")
        return await call_next(request)

    @app.exception_handler(PortalError)
    async def failed(request: Request, error: PortalError) -> Response:
        return Response(error.message, status_code=error.status)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://portal") as client:
        yield client


async def test_all_may_look_and_those_who_run_portal_choose(page: httpx.AsyncClient) -> None:
    async def put(owner: str) -> httpx.Response:
        return await page.put("/portal/v1/embedder", json={"model": "bge-m3"}, headers={"x-owner": owner})

    assert (await put("guest")).status_code == 403
    assert (await put("admin")).json() == {"name": "own", "wanted": "bge-m3"}
    assert (await page.get("/portal/v1/embedder", headers={"x-owner": "guest"})).json()["wanted"] == "bge-m3"
