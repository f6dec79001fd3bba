"""Pictures, videos and music by a shipped server: with the Portal that runs, and without one, before a ComfyUI."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from tests.interfaces.mcp.clients import Person, client_of, names, text
from tests.media.conftest import MODELS

from mcp import Client
from portal.cli.shipped import load
from portal.interfaces.mcp.serving import Identity, make_server
from portal.settings import load_settings
from portal.shipped.relay import Address, Running
from portal.shipped.studio import StudioTools
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import png
from portal.testing.portal import TestPortal, open_test_portal

PROGRESS = re.compile(r"waits for its turn|\d+ %(, step \d+ of \d+)?")
"""Which steps are heard of hangs on how busy the machine is."""
IDENTITY = Identity(name="test", title="Test", instructions="")


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    async with ComfyUIServer(models=MODELS) as server:
        yield server


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir()
    (folder / "barn.png").write_bytes(png(20, 10))
    return folder


def engines(comfy: ComfyUIServer, **more: Any) -> dict[str, Any]:
    return {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}], "patience": 1}, **more}


def at(portal: TestPortal) -> Running:
    return lambda: Address(url=portal.url, token=portal.portal.local_token)


@asynccontextmanager
async def served(
    name: str,
    work: Path,
    settings: dict[str, Any],
    running: Running = lambda: None,
    *,
    read_only: bool = False,
    **more: Any,
) -> AsyncIterator[Client]:
    """Over a transport of this machine."""
    tools = {"folders": [work], **settings.pop("tools", {})}
    loaded = load_settings({"data_dir": work.parent / "data", "tools": tools, **settings})
    offer = StudioTools(load(name), loaded, running, folders=[work], read_only=read_only)
    async with Client(make_server(IDENTITY, offer), **more) as client:
        yield client


def pictures(result: types.CallToolResult) -> list[bytes]:
    assert not result.is_error, text(result)
    return [base64.b64decode(one.data) for one in result.content if isinstance(one, types.ImageContent)]


async def test_what_they_offer_is_known_without_opening_anything(work: Path, comfy: ComfyUIServer) -> None:
    async with served("images", work, engines(comfy)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    async with served("video", work, engines(comfy), read_only=True) as client:
        looking = names(await client.list_tools())
    async with served("music", work, engines(comfy, tools={"off": ["music"]})) as client:
        none = names(await client.list_tools())

    assert [*tools] == ["make_image", "edit_image", "list_image_workflows"]
    changing = tools["edit_image"].input_schema
    assert {*changing["required"]} == {"prompt", "image"}
    assert "its path" in changing["properties"]["image"]["description"]
    hints = tools["make_image"].annotations
    assert hints is not None
    assert (hints.read_only_hint, hints.destructive_hint) == (False, False)
    assert looking == ["list_video_workflows"]
    assert none == []
    assert not (work.parent / "data").exists()


async def test_without_a_portal_pictures_are_made_and_changed(work: Path, comfy: ComfyUIServer) -> None:
    news: list[str] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        news.append(message or "")

    async with served("images", work, engines(comfy)) as client:
        listed = await client.call_tool("list_image_workflows", {})
        made = await client.call_tool("make_image", {"prompt": "a barn", "seed": 3}, progress_callback=told)
        two = await asyncio.gather(  # noqa: TID251 -- at once, as clients do
            client.call_tool("edit_image", {"prompt": "snow", "image": "barn.png"}),
            client.call_tool("edit_image", {"prompt": "snow", "image": text(made).split("file id ")[1].rstrip(")")}),
        )
        outside = await client.call_tool("edit_image", {"prompt": "snow", "image": "/etc/hostname"})
        comfy.fail(ComfyFault.OUT_OF_MEMORY)
        failed = await client.call_tool("make_image", {"prompt": "a barn"})

    assert "sdxl" in text(listed)
    assert text(made).startswith("Made with flux-schnell (seed 3")
    assert pictures(made) == [(work / "a-barn-1.png").read_bytes()]
    assert news
    assert [one for one in news if not PROGRESS.fullmatch(one)] == []
    assert {png(20, 10), *pictures(made)} <= {*comfy.uploads.values()}
    assert all(map(pictures, two))
    assert len(list(work.glob("snow-1*.png"))) == 2
    assert outside.is_error
    assert "not in a folder" in text(outside)
    assert failed.is_error
    assert "memory" in text(failed)


async def test_a_call_that_is_cancelled_stops_the_engine(work: Path, comfy: ComfyUIServer) -> None:
    async with served("images", work, engines(comfy)) as client:
        comfy.hold()
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(client.call_tool("make_image", {"prompt": "a barn"}))
            await comfy.wait_running()
            calling.cancel()
        await comfy.wait_idle()

    assert comfy.interrupts == 1


async def test_the_running_portal_makes_them(work: Path, tmp_path: Path, comfy: ComfyUIServer) -> None:
    async with open_test_portal(tmp_path / "portal", toolsets=None, settings=engines(comfy)) as portal:
        async with served("images", work, engines(comfy), at(portal)) as client:
            made = await client.call_tool("make_image", {"prompt": "a barn"})
            changed = await client.call_tool("edit_image", {"prompt": "snow", "image": "barn.png"})
            wrong = await client.call_tool("edit_image", {"prompt": "snow", "image": "none.png"})
        stranger = Address(url=portal.url, token="wrong")
        async with served("images", work, engines(comfy), lambda: stranger) as client:
            closed = await client.call_tool("edit_image", {"prompt": "snow", "image": "barn.png"})
        async with served("video", work, engines(comfy), at(portal)) as client:
            film = await client.call_tool("make_video", {"prompt": "a barn", "image": str(work / "barn.png")})
            listed = await client.call_tool("list_video_workflows", {})
            comfy.hold()
            async with asyncio.TaskGroup() as tasks:
                calling = tasks.create_task(client.call_tool("make_video", {"prompt": "a barn"}))
                await comfy.wait_running()
                calling.cancel()
            await comfy.wait_idle()

    assert pictures(made) == [(work / "a-barn-1.png").read_bytes()]
    assert pictures(changed)
    assert png(20, 10) in comfy.uploads.values()
    assert wrong.is_error
    assert "did not answer as it should" in text(closed)
    (link,) = [one for one in film.content if isinstance(one, types.ResourceLink)]
    assert link.uri.startswith(work.as_uri())
    assert (work / link.name).stat().st_size == link.size
    assert "wan" in text(listed)
    assert comfy.interrupts == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_a_policy_has_asked_for_is_asked(
    work: Path, tmp_path: Path, comfy: ComfyUIServer, mode: str
) -> None:
    person = Person(allow_1=True)
    settings = engines(comfy, policies=[{"action": "ask", "tool": "make_image"}])
    async with open_test_portal(tmp_path / "portal", toolsets=None, settings=settings) as portal:
        more = {"mode": mode, "elicitation_callback": person}
        async with served("images", work, engines(comfy), at(portal), **more) as client:
            made = await client.call_tool("make_image", {"prompt": "a barn"})
            person.answer = {"action": "decline", "content": None}
            refused = await client.call_tool("make_image", {"prompt": "a shed"})
        async with client_of(portal) as client:
            waits = await client.call_tool("make_image", {"prompt": "a shed"})

    assert pictures(made)
    assert '"prompt": "a barn"' in person.asked[0].message
    assert "said no" in text(refused)
    assert "Not done yet" in text(waits)
    assert len(comfy.prompts) == 1
