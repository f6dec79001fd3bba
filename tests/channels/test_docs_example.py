"""The manual's example of an interface, taken from its page and used like any package's."""

import re
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from portal.app import open_portal
from portal.app.channels import PLUGINS
from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.settings import load_settings
from portal.testing.portal import open_test_portal


class Platform:
    """The other side of the example."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.refuse = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        if self.refuse:
            self.refuse, status = 0, self.refuse
            return web.json_response({}, status=status, headers={"Retry-After": "0.01"})
        path = request.path
        if request.method == "POST":
            self.messages[str(len(self.messages))] = (await request.json())["text"]
            return web.json_response({"id": str(len(self.messages) - 1)})
        if request.method == "PUT":
            self.messages[path.rsplit("/", 1)[1]] = (await request.json())["text"]
        return web.json_response({})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as an installed package."""
    page = (Path(__file__).parents[2] / "docs/channels.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "site"
    info = folder / "webchat-1.dist-info"
    info.mkdir(parents=True)
    (folder / "webchat_example.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: webchat\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{PLUGINS}]\nwebchat = webchat_example:create\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "webchat_example", raising=False)


async def test_the_example_works_as_it_stands(tmp_path: Path, package: None) -> None:
    platform = Platform()
    runner = web.AppRunner(platform.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    options = {"url": address, "secret": "s3cret"}
    settings = {"channels": {"interfaces": {"office": {"kind": "webchat", "options": options}}}}
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path / "data", backends=[backend], channels=None, settings=settings) as portal:
        channels = portal.portal.channels
        with portal.portal.bus.subscribe(None) as news:
            while channels.status()[0]["state"] != "up":
                await news.get()
        code, _ = await channels.linking.offer(portal.owner)
        for number, text in enumerate((f"/link {code}", "Hello")):
            told = {"id": f"e{number}", "chat": "c1", "from": "alice", "name": "Alice", "text": text}
            async with aiohttp.ClientSession() as client:
                platform.refuse = 429
                for secret, status in (("wrong", 401), ("s3cret", 200), ("s3cret", 200)):
                    headers = {"X-Secret": secret}
                    async with client.post(f"{portal.url}/channels/office", json=told, headers=headers) as answer:
                        assert answer.status == status
        while list(platform.messages.values()) != [words.LINKED, "Hello"]:
            async with aiohttp.ClientSession() as client, client.get(f"{portal.url}/health") as answer:
                assert (await answer.json())["channels"] == {"office": "up"}
    await runner.cleanup()


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("fax", {}, "There is no kind of channel called 'fax'"),
        ("webchat", {}, "'url'"),
    ],
)
async def test_a_channel_that_cannot_be_made_is_told_of(
    tmp_path: Path, package: None, kind: str, options: dict[str, str], why: str
) -> None:
    settings = {"channels": {"interfaces": {"office": {"kind": kind, "options": options}}}}
    loaded = load_settings({"data_dir": tmp_path / "data", "discovery": {"enabled": False}, **settings})
    (tmp_path / "data").mkdir(mode=0o700)
    async with open_portal(loaded, backends=[]) as portal:
        (told,) = portal.channels.status()
        assert told["state"] == "broken"
        assert why in told["detail"]


async def test_a_package_that_is_missing_is_named(tmp_path: Path, package: None) -> None:
    example = tmp_path / "site/webchat_example.py"
    example.write_text("import a_library_that_nobody_has\n", encoding="utf-8")
    settings = {"channels": {"interfaces": {"office": {"kind": "webchat"}}}}
    loaded = load_settings({"data_dir": tmp_path / "data", "discovery": {"enabled": False}, **settings})
    (tmp_path / "data").mkdir(mode=0o700)
    async with open_portal(loaded, backends=[]) as portal:
        assert "a_library_that_nobody_has" in portal.channels.status()[0]["detail"]


_FAULTY = """
from pydantic import BaseModel


class Config(BaseModel):
    limit: int


def create(options, around):
    if "limit" in options:
        return Config(**options)
    return options.absent
"""


@pytest.mark.parametrize(
    ("options", "why"),
    [({}, "It failed unexpectedly; the log has the details."), ({"limit": "xoxb-hidden"}, "limit: Input should be")],
)
async def test_a_faulty_package_ends_nothing_and_shows_no_secret(
    tmp_path: Path, package: None, options: dict[str, str], why: str
) -> None:
    (tmp_path / "site/webchat_example.py").write_text(_FAULTY, encoding="utf-8")
    settings = {"channels": {"interfaces": {"office": {"kind": "webchat", "options": options}}}}
    loaded = load_settings({"data_dir": tmp_path / "data", "discovery": {"enabled": False}, **settings})
    (tmp_path / "data").mkdir(mode=0o700)
    async with open_portal(loaded, backends=[]) as portal:
        (told,) = portal.channels.status()
        assert told["detail"].startswith(why)
        assert "hidden" not in told["detail"]


async def test_of_two_channels_with_one_name_the_first_is_there(tmp_path: Path, package: None) -> None:
    office = {"kind": "webchat", "options": {"url": "http://127.0.0.1:9", "secret": "s"}}
    settings = {
        "telegram": {"token": "123456:" + "a" * 35, "api_base": "http://127.0.0.1:9"},
        "channels": {"interfaces": {"telegram": office}},
    }
    loaded = load_settings({"data_dir": tmp_path / "data", "discovery": {"enabled": False}, **settings})
    (tmp_path / "data").mkdir(mode=0o700)
    async with open_portal(loaded, backends=[]) as portal:
        assert [one["kind"] for one in portal.channels.status()] == ["telegram"]
