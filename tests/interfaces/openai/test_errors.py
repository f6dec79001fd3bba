import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from tests.interfaces.openai.conftest import error_of

from portal.errors import RateLimited, StorageError, StorageFull
from portal.interfaces.openai.errors import error_handlers


async def raised(error, path="/v1/x"):
    async def endpoint(request):
        raise error

    app = Starlette(routes=[Route("/v1/x", endpoint)], exception_handlers=error_handlers())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:
        return await client.get(path)


async def test_what_is_ours(caplog):
    answer = await raised(RateLimited("Slowly.", retry_after=2.1))
    error = error_of(answer, 429)
    assert error == {"message": "Slowly.", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    assert answer.headers["retry-after"] == "3"
    assert not caplog.records


async def test_a_full_disk_has_its_status():
    assert error_of(await raised(StorageFull("The disk is full.")), 507)["code"] == "storage_full"


async def test_a_fault_of_the_server_is_logged(caplog):
    error_of(await raised(StorageError("The database failed.")), 500)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_what_nobody_expected():
    error = error_of(await raised(ZeroDivisionError("secret detail")), 500)
    assert error["code"] == "internal_error"
    assert "secret" not in error["message"]


@pytest.mark.parametrize(("status", "kind"), [(418, "invalid_request_error"), (503, "server_error")])
async def test_what_the_framework_refuses(status, kind):
    error = error_of(await raised(HTTPException(status, "As it says", headers={"x-more": "1"})), status)
    assert (error["message"], error["type"]) == ("As it says", kind)
