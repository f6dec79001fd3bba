import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from tests.interfaces.openai.conftest import error_of

from portal.backends.scripted import ScriptedBackend
from portal.interfaces.openai.models import models_routes
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.workspaces import Workspaces
from portal.security.credentials import Caller
from portal.settings import load_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_is_there(api):
    page = (await api.get("/v1/models")).json()
    assert page["object"] == "list"
    models = {model["id"]: model for model in page["data"]}
    assert next(iter(models)) == "auto"
    assert {"tiny", "vendor/big:7b", "embedder", "portal-guide"} < models.keys()
    for model in models.values():
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
        assert isinstance(model["owned_by"], str)
    assert models["tiny"]["context_window"] == 4096
    assert models["tiny"]["created"] == 1_700_000_000
    assert models["vendor/big:7b"]["capabilities"] == ["chat", "completion", "tools", "vision"]
    assert "context_window" not in models["embedder"]
    assert models["auto"]["capabilities"] == ["chat", "completion", "tools", "vision"]
    assert "auto-coding" in models
    assert {model["owned_by"] for name, model in models.items() if name.startswith("auto")} == {"portal"}


@pytest.mark.parametrize("name", ["tiny", "vendor/big:7b", "auto", "portal-guide"])
async def test_one_of_them(api, name):
    listed = (await api.get("/v1/models")).json()["data"]
    assert (await api.get(f"/v1/models/{name}")).json() == next(model for model in listed if model["id"] == name)


async def test_one_that_is_not_there(api):
    error = error_of(await api.get("/v1/models/vendor/bigg:7b"), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'vendor/big:7b'" in error["message"]


class TestNothingInstalled:
    @pytest.fixture
    def backend(self):
        return ScriptedBackend(models=[])

    async def test_auto_is_listed_all_the_same(self, api):
        listed = (await api.get("/v1/models")).json()["data"]
        ids = [model["id"] for model in listed if "speech" not in model["capabilities"]]
        assert ids[0] == "auto"
        assert ids[-1] == "portal-guide"


async def test_auto_without_any_model_at_all(tmp_path):
    registry = Registry(settings=load_settings({"data_dir": tmp_path}))
    router = Router(registry=registry, workspaces=Workspaces())

    class Known(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            request.state.caller = Caller("u1", "key", "k1")
            return await call_next(request)

    app = FastAPI(routes=[*models_routes(models=router)], middleware=[Middleware(Known)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://portal") as client:
        auto = (await client.get("/v1/models/auto")).json()
        assert auto.items() >= {"id": "auto", "object": "model", "created": 0, "owned_by": "portal"}.items()
        assert "context_window" not in auto
        assert len((await client.get("/v1/models")).json()["data"]) == len(Workspaces().list())
