"""All the tool servers: where they come from, and how they are added, removed and reloaded."""

import json

import pytest
from tests.mcp.servers import plain
from tests.mcp.workshop import Workshop, serve

from portal.errors import BadRequest, Conflict, NotFound, PortalError
from portal.mcp.server_list import write_file
from portal.settings.mcp import ToolServerSettings


async def test_added_servers_are_kept_and_their_secrets_apart(workshop: Workshop) -> None:
    async with serve(plain().streamable_http_app()) as url:
        settings = ToolServerSettings(url=f"{url}/mcp", headers={"X-Key": "s3cret"}, trusted=True)  # type: ignore[dict-item]
        async with workshop.open() as servers:
            added = await servers.add("plain", settings)
            with pytest.raises(Conflict, match="already"):
                await servers.add("plain", settings)

        assert (added["status"], added["source"]) == ("up", "added")
        assert "s3cret" not in json.dumps(workshop.kept.values)
        assert "s3cret" in (workshop.folder / "secrets.json").read_text()

        async with workshop.open() as servers:
            assert servers.get("plain").settings == settings
            answer = await servers.get("plain").call("plain__echo", {"text": "hi"}, workshop.context())
            await servers.remove("plain")
            with pytest.raises(NotFound):
                servers.view("plain")

    assert answer.text == "hi"
    assert workshop.kept.values == {"mcp_servers": {"servers": []}}
    assert "s3cret" not in (workshop.folder / "secrets.json").read_text()
    async with workshop.open() as servers:
        assert servers.list() == []


async def test_programs_are_not_started_on_a_request(workshop: Workshop) -> None:
    async with workshop.open() as servers:
        with pytest.raises(BadRequest, match="portal mcp add"):
            await servers.add("evil", ToolServerSettings(command="rm"))
        told = await servers.take_over(json.dumps({"mcpServers": {"evil": {"command": "rm"}}}), dry_run=False)

        assert servers.list() == []
    assert told[0]["taken"] is False
    assert "portal mcp import" in told[0]["notes"][0]


async def test_taking_over_addresses(workshop: Workshop) -> None:
    content = json.dumps({"mcpServers": {"a": {"url": "http://127.0.0.1:1/"}, "b": {"url": "nonsense"}}})
    async with workshop.open() as servers:
        dry = await servers.take_over(content, dry_run=True)
        nothing = servers.list()
        told = await servers.take_over(content, dry_run=False)
        again = await servers.take_over(content, dry_run=False)
        view = servers.view("a")

    assert nothing == []
    assert [one["taken"] for one in (*dry, *told, *again)] == [True, False, True, False, False, False]
    assert view["status"] == "down"


async def test_an_added_server_that_is_read_no_more(workshop: Workshop) -> None:
    await workshop.kept.set("mcp_servers", {"servers": [{"name": "old", "fields": {"gone": True}}]})

    async with workshop.open() as servers:
        assert servers.list() == []


async def test_the_owners_file(workshop: Workshop) -> None:
    write_file(workshop.folder, {"f": workshop.faulty(), "bad": {"command": ""}, "s": {"command": "other"}})
    async with workshop.open({"s": workshop.faulty()}) as servers:
        await servers.test("f")
        first = {one["name"]: (one["source"], one["status"]) for one in servers.list()}
        with pytest.raises(Conflict, match="take it out of the file"):
            await servers.remove("f")
        write_file(workshop.folder, {"f": workshop.faulty(), "g": workshop.faulty()})
        second = [one["name"] for one in await servers.reload()]
        same = servers.view("f")["status"]
        write_file(workshop.folder, {"f": workshop.faulty(trusted=True)})
        await servers.reload()
        await workshop.until(lambda: servers.view("f")["status"] == "up")
        trusted = servers.view("f")["trusted"]
        (workshop.folder / "mcp.json").write_text("{")
        with pytest.raises(BadRequest, match="cannot be read"):
            await servers.reload()
        third = [one["name"] for one in servers.list()]

    assert first["f"] == ("file", "up")
    assert first["s"][0] == "settings"
    assert first["bad"] == ("file", "wrong")
    assert sorted(second) == ["f", "g", "s"]
    assert (same, trusted, sorted(third)) == ("up", True, ["f", "s"])
    async with workshop.open() as servers:
        assert servers.list() == []


async def test_there_are_not_any_number_of_them(workshop: Workshop) -> None:
    off = {f"s{n}": {"command": "x", "enabled": False} for n in range(100)}
    async with workshop.open(off) as servers:
        with pytest.raises(Conflict, match="100 tool servers"):
            await servers.add("more", ToolServerSettings(url="http://127.0.0.1:1/"))


async def test_nobody_is_asked_who_is_not_there(workshop: Workshop) -> None:
    async with workshop.open() as servers:
        for work in (servers.test("x"), servers.remove("x"), servers.prompts("x"), servers.sign_in("x", "y")):
            with pytest.raises(NotFound):
                await work
        with pytest.raises(PortalError):
            servers.come_back(code="c", state="", iss=None)
