"""Tool servers that come with Portal, started by it with one line of configuration."""

import subprocess

import pytest
from tests.mcp.workshop import Workshop

from portal.errors import BadRequest, ToolError
from portal.settings.mcp import ToolServerSettings


async def test_one_line_starts_it_and_its_word_counts(workshop: Workshop) -> None:
    work = workshop.folder / "work"
    subprocess.run(["git", "init", "-q", str(work / "garden")], check=True)
    (work / "note.txt").write_text("pears")
    servers = {name: {"shipped": name} for name in ("filesystem", "web")}
    async with workshop.open(servers, settings={"tools": {"folders": [str(work)]}}) as opened:
        for name in servers:
            await opened.get(name).refresh()
        files, web = ({spec.name: spec for spec in opened.get(name).tools()} for name in servers)
        read = await opened.get("filesystem").call("filesystem__read_file", {"path": "note.txt"}, workshop.context())
        page = await opened.get("web").call("web__fetch_page", {"url": "http://127.0.0.1:1/"}, workshop.context())
        view = opened.view("filesystem")
        shipped = {one["name"]: one["added"] for one in opened.shipped()}

    assert files["filesystem__read_file"].risk == "read"
    assert files["filesystem__write_file"].risk == "write"
    assert files["filesystem__read_file"].untrusted
    assert not files["filesystem__list_folder"].untrusted
    assert {name: (spec.risk, spec.untrusted) for name, spec in web.items()} == {
        "web__fetch_page": ("fetch", True),
        "web__web_search": ("fetch", True),
        "web__crawl_site": ("fetch", True),
        "web__http_request": ("network", True),
    }
    assert read.text == "pears"
    assert page.failed
    assert (view["kind"], view["where"]) == ("shipped", "filesystem")
    assert shipped == {
        "documents": None, "execution": None, "filesystem": "filesystem", "git": None, "speech": None, "time": None,
        "transcription": None, "web": "web",
    }  # fmt: skip


async def test_which_are_not_started(workshop: Workshop) -> None:
    async with workshop.open({"mind": {"shipped": "memory"}, "x": {"shipped": "weather"}}) as opened:
        for name in ("mind", "x"):
            with pytest.raises(ToolError, match="that it could start"):
                await opened.get(name).refresh()
        with pytest.raises(BadRequest, match="ships no tool server 'memory' to start"):
            await opened.add("mine", ToolServerSettings.model_validate({"shipped": "memory"}))
        with pytest.raises(BadRequest, match="Programs are not started on a request"):
            await opened.add("mine", ToolServerSettings.model_validate({"shipped": "time", "args": ["--folder", "/"]}))
