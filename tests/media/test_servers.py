"""Servers with OpenAI's API as engines of pictures and music."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from tests.media.conftest import studio_at
from tests.media.test_jobs import Api

from portal.errors import SettingsError
from portal.media.engines import near
from portal.settings import load_settings
from portal.testing.media_files import png, wav


class Server:
    """As much of OpenAI's API as makes pictures and sound; `answers` are given first, in order."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.answers: list[tuple[int, Any]] = []
        self.models: Any = {"data": [{"id": "flux"}, {"id": "other"}]}
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""
        self.fields: list[str] = []

    async def listed(self, request: web.Request) -> web.Response:
        if self.models is None:
            return web.Response(status=404)
        return web.json_response(self.models)

    async def image(self, request: web.Request) -> web.Response:
        kind = request.content_type
        sent = await request.json() if kind == "application/json" else await request.post()
        body = {key: one.file.read() if isinstance(one, web.FileField) else one for key, one in sent.items()}
        self.fields = [name for name, _ in sent.items()]
        self.received.append(body)
        await self.gate.wait()
        if self.answers:
            status, answer = self.answers.pop(0)
            return web.json_response(answer, status=status)
        made = [{"b64_json": base64.b64encode(png()).decode()} for _ in range(int(body.get("n", 1)))]
        return web.json_response({"created": 1, "data": made})

    async def speech(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        if self.answers:
            status, answer = self.answers.pop(0)
            return web.Response(status=status, text=answer)
        return web.Response(body=wav(), content_type="audio/wav")

    async def picture(self, request: web.Request) -> web.Response:
        return web.Response(body=png(), content_type="image/png")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made, app = Server(), web.Application()
    app.add_routes(
        [
            web.get("/v1/models", made.listed),
            web.post("/v1/images/generations", made.image),
            web.post("/v1/images/edits", made.image),
            web.post("/v1/audio/speech", made.speech),
            web.get("/made.png", made.picture),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_pictures_by_an_image_server(server: Server, tmp_path: Path) -> None:
    engine = {"kind": "openai_images", "url": f"{server.url}/v1", "api_key": "secret", "models": ["flux", "gone"]}
    async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
        client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)
        made = await client.images.generate(prompt="a", n=2, size="512x512", quality="high", background="transparent")
        assert made.data is not None
        assert [base64.b64decode(one.b64_json or "") for one in made.data] == [png(), png()]
        assert server.received[-1] == {
            "model": "flux",
            "prompt": "a",
            "n": 2,
            "size": "512x512",
            "quality": "high",
            "background": "transparent",
            "response_format": "b64_json",
        }
        edited = await client.images.edit(image=png(), mask=png(alpha=0), prompt="a hat")
        assert edited.data is not None
        assert server.received[-1]["mask"] == png(alpha=0)
        await client.images.edit(image=[("a.png", png()), ("b.png", png())], mask=png(alpha=0), prompt="together")
        assert [name for name in server.fields if name[:5] in ("image", "mask")] == ["image[]", "image[]", "mask"]
        flows = {one["name"]: one["needs"] for one in (await api.call("GET", "/workflows"))["data"]}
        assert flows == {"flux": None, "gone": "openai_images has no model 'gone'."}
        (state,) = (await api.call("GET", "/engines"))["data"]
        assert (state["reachable"], state["problem"]) == (True, None)

        server.answers = [
            (400, {"error": {"message": "Unknown parameter: 'response_format'."}}),
            (200, {"data": [{"url": "/made.png"}]}),
        ]
        assert (await api.ended(await api.order()))["status"] == "done"
        assert "response_format" not in server.received[-1]
        faults = [
            ((200, {"data": [{"url": "http://10.0.0.1/x.png"}]}), "media_error"),
            ((200, {"data": [{"b64_json": "!"}]}), "engine_failed"),
            ((200, {"data": [{"b64_json": base64.b64encode(wav()).decode()}]}), "engine_failed"),
            ((200, {"data": [{"b64_json": base64.b64encode(b"<svg/>").decode()}]}), "unknown_format"),
            ((400, {"error": {"message": "not safe"}}), "workflow_refused"),
            ((404, {"error": "no such model"}), "model_missing"),
            ((500, {"detail": "CUDA out of memory"}), "out_of_memory"),
            ((500, None), "engine_failed"),
        ]
        for answer, code in faults:
            server.answers = [answer]
            assert (await api.ended(await api.order()))["code"] == code, answer


async def test_music_by_a_music_server(server: Server, tmp_path: Path) -> None:
    server.models = None
    engine = {"kind": "openai_music", "url": server.url, "models": ["song"]}
    async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
        made = await api.ended(await api.order("music", values={"lyrics": "la", "seconds": 9, "seed": 1}))
        assert (await api.file(made)).content == wav()
        wanted = {"model": "song", "input": "a boat", "voice": "default", "lyrics": "la", "duration": 9, "seed": 1}
        assert server.received[-1] == wanted
        server.answers = [(500, "it broke")]
        assert "it broke" in (await api.ended(await api.order("music")))["error"]


async def test_a_server_keeps_no_jobs_and_stops_when_left(server: Server, tmp_path: Path) -> None:
    engine = {"kind": "openai_images", "url": server.url, "name": "mine"}
    server.gate.clear()
    async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
        first = await api.order()
        while not server.received:
            await asyncio.sleep(0)
        await api.call("POST", f"/jobs/{first}/cancel")
        second = await api.order()
        while len(server.received) < 2:
            await asyncio.sleep(0)
    server.gate.set()
    async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
        ended = await api.ended(second)
        assert (ended["code"], "order it again" in ended["error"]) == ("outcome_unknown", True)
        third = await api.order(workflow="mine/other")
        assert (await api.ended(third))["workflow"] == "other"
    server.gate.clear()
    async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
        left = await api.order()
        while len(server.received) < 4:
            await asyncio.sleep(0)
    async with studio_at(tmp_path / "data") as portal, Api(portal) as api:
        assert "no longer in the settings" in (await api.ended(left))["error"]


async def test_a_server_that_is_none_is_told_of(server: Server, tmp_path: Path) -> None:
    server.models = ["odd"]
    engines = [{"kind": "openai_images", "url": server.url}, {"kind": "openai_images", "url": "http://127.0.0.1:9"}]
    async with studio_at(tmp_path / "data", *engines) as portal, Api(portal) as api:
        states = (await api.call("GET", "/engines"))["data"]
        assert [(one["name"], one["reachable"]) for one in states] == [
            ("openai_images", False),
            ("openai_images-2", False),
        ]
        refused = await api.call("POST", "/jobs", {"kind": "image", "values": {"prompt": "a"}}, 503)
        assert "Start it, or mend its address" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("url", "is_near"),
    [
        ("http://127.0.0.1:8188", True),
        ("http://[::1]:8188", True),
        ("http://192.168.1.20:8188", True),
        ("http://studio:8188", True),
        ("https://studio.local", True),
        ("https://api.example.org/v1", False),
        ("https://1.2.3.4", False),
    ],
)
def test_whether_an_engine_is_ones_own(url: str, is_near: bool) -> None:
    assert near(url) is is_near


def test_engines_that_cannot_be_are_refused() -> None:
    one = {"kind": "comfyui", "url": "http://127.0.0.1:9", "name": "one"}
    for engines, why in (([{**one, "url": "127.0.0.1:8188"}], "no address"), ([one, one], "two engines")):
        with pytest.raises(SettingsError, match=why):
            load_settings({"media": {"engines": engines}})
