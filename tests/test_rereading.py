"""Settings that change while Portal runs: in force at once, waiting for a restart, or refused whole."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.app.live import _MADE_OF
from portal.backends.scripted import ScriptedBackend, echo
from portal.core.rereading import Reread
from portal.settings.lines import line_of
from portal.settings.live import LIVE, leaves
from portal.testing.ollama_server import OllamaServer
from portal.testing.portal import TestPortal, open_test_portal

READ_WHERE_NEEDED = {
    *("limits.messages", "turns.keep_deleted_days", "server.drain_seconds", "telemetry.keep_days"),
    *("retention.conversation_days", "retention.usage_days", "retention.audit_days"),
    *("backup.folder", "backup.every", "backup.keep", "backup.password"),
}


def write(folder: Path, text: str) -> None:
    """As editors do: beside it, then in its place."""
    draft = folder / "portal.toml.new"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / "portal.toml")


async def reread(portal: TestPortal, text: str) -> Reread:
    write(portal.portal.settings.data_dir, text)
    return await portal.portal.rereading.now()


def test_every_setting_that_is_said_to_be_live_has_somebody_who_puts_it_in_force(tmp_path: Path) -> None:
    from portal.settings import load_settings

    assert leaves(load_settings()).keys() >= LIVE
    for name in LIVE - READ_WHERE_NEEDED:
        assert name in _MADE_OF or name.partition(".")[0] in _MADE_OF, name


async def test_what_changes_is_in_force_at_once(tmp_path: Path) -> None:
    tiny, other = (
        ScriptedBackend(models=["tiny"], default=echo),
        ScriptedBackend(name="b", models=["other"], default=echo),
    )
    async with open_test_portal(tmp_path, backends=[tiny, other], watching=True) as portal:
        text = """
            default_model = "other"
            [workspaces.mine]
            instructions = "Be brief."
            [rules.letters]
            words = ["letter"]
            model = "tiny"
            [people.roles.member]
            tokens = 100
            [limits]
            person = 7
            messages = 3
            [faults]
            retries = 4
            breaker_failures = 2
            queue_length = 9
            [tools]
            max_rounds = 3
            offered = 4
            web = true
            [[policies]]
            tool = "read_file"
            action = "deny"
            [files]
            quota = 1000
            [turns]
            keep_deleted_days = 1
            [server]
            drain_seconds = 1
            allowed_hosts = ["portal.example"]
            [anthropic]
            aliases = {"claude-*" = "tiny"}
            [log]
            level = "DEBUG"
            [discovery]
            interval = 5
            [retention]
            usage_days = 30
            audit_days = 30
            [backup]
            folder = "/nowhere"
            keep = 3
        """
        before = logging.getLogger().level
        try:
            told = await reread(portal, text)
            assert logging.getLogger().level == logging.DEBUG
        finally:
            logging.getLogger().setLevel(before)

        assert (told.problem, told.waiting) == ("", [])
        assert "workspaces" in told.applied
        async with aiohttp.ClientSession(portal.url, headers=portal.headers) as http:
            names = [one["id"] for one in (await (await http.get("/v1/models")).json())["data"]]
            assert "mine" in names
            chat: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "a letter"}]}
            async with http.post("/v1/chat/completions", json=chat) as answer:
                assert answer.headers["x-portal-model"] == "tiny"
            chat["messages"][0]["content"] = "hi"
            async with http.post("/v1/chat/completions", json=chat) as answer:
                assert answer.headers["x-portal-model"] == "other"
            async with http.get("/health", headers={"Host": "portal.example"}) as answer:
                assert answer.status == 200
            body = {**chat, "model": "claude-3", "max_tokens": 5}
            async with http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"}) as answer:
                assert answer.status == 200, await answer.text()
            async with http.get("/portal/v1/config") as answer:
                assert (await answer.json())["problem"] is None
            async with http.get("/portal/v1/backups") as answer:
                shown = await answer.json()
                assert (shown["folder"], shown["keep"], shown["scheduled"]) == ("/nowhere", 3, True)
        current = portal.portal.current.settings
        assert current.limits.messages == 3
        assert current.turns.keep_deleted_days == 1
        assert portal.portal.settings.limits.messages != 3  # those of the start stay what they were


async def test_model_servers_come_and_go(tmp_path: Path) -> None:
    async with OllamaServer() as one, OllamaServer() as two, open_test_portal(tmp_path, watching=True) as portal:

        def named(*servers: tuple[str, OllamaServer], more: str = "") -> str:
            made = (f'[[backends]]\nkind = "ollama"\nurl = "{server.url}"\n{name}{more}\n' for name, server in servers)
            return "\n".join(made)

        def there() -> dict[str, str]:
            known = portal.portal.models.status()
            return {status.name: status.url for status in known if status.source == "settings"}

        await reread(portal, named(("", one)))
        assert there() == {"ollama": one.url}
        await reread(portal, named(("", one), ('name = "second"', two)))
        assert there() == {"ollama": one.url, "second": two.url}
        told = await reread(portal, named(("", one), ('name = "embedded"', two)))
        assert "already" in told.problem
        assert there() == {"ollama": one.url, "second": two.url}
        told = await reread(portal, named(("", one), ('name = "same"', two), ('name = "same"', two)))
        assert "already" in told.problem
        told = await reread(portal, '[[backends]]\nkind = "unheard"\nurl = "http://x"\n')
        assert "unheard" in told.problem
        await reread(portal, named(('name = "second"', two), more="\nmax_concurrency = 2"))
        assert there() == {"second": two.url}
        await reread(portal, "default_model = ''")
        assert there() == {}


async def test_what_needs_a_restart_is_said(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path, watching=True) as portal, aiohttp.ClientSession(portal.url) as http:
        told = await reread(portal, "[server]\nsession_days = 3\n[limits]\nperson = 5\n")
        assert (told.applied, told.waiting) == (["limits.person"], ["server.session_days"])
        async with http.get("/portal/v1/health", headers=portal.headers) as answer:
            conditions = {one["kind"]: one for one in (await answer.json())["data"]}
        assert conditions["settings"]["state"] == "note"
        assert "server.session_days" in conditions["settings"]["detail"]
        lines = await portal.portal.storage.audit.whole(limit=5)
        assert lines.data[0].action == "settings.read"
        # taken back, nothing waits any more
        told = await reread(portal, "")
        assert (told.applied, told.waiting) == (["limits.person"], [])


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.write_text("[limits]\nperson = 5\nperson 6\nx = 1"), "line 3"),
    (lambda path: path.write_text("[limits]\naddress = 5\n\nperson = 'many'"), "(line 4 of the settings file)"),
    (
        lambda path: path.write_text("[limits]\nperson = 5\n[limmits]\nperson = 5"),
        "limmits: Portal does not know this setting (line 3",
    ),
    (lambda path: path.write_text("[limits]\nperson = 5\n[workspaces.x]\npersona = 'nobody'"), "line 4)"),
    (lambda path: path.write_text("[limits]\nperson = 5\n[log]\nlevel = 'LOUD'"), "log.level cannot be 'LOUD'"),
    (lambda path: path.write_text("[limits]\nperson = 5\n[people.roles.guest]\nscopes = ['x:y']"), "x:y"),
    (lambda path: path.write_text("[limits]\nperson = 5\n[server]\ntrusted_proxies = ['me']"), "no network"),
    (
        lambda path: path.write_text("[limits]\nperson = 5\n[backup]\npassword = 'changeme'"),
        "backup.password is a placeholder",
    ),
    (lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read"),
    (lambda path: (path.unlink(), path.mkdir()), "directory"),
    (lambda path: path.unlink(), "is gone"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
async def test_what_is_wrong_is_refused_whole(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    write(tmp_path, "[limits]\nperson = 77\n")
    async with open_test_portal(tmp_path, watching=True) as portal:
        spoil(tmp_path / "portal.toml")
        told = await portal.portal.rereading.now()

        assert words in told.problem
        assert told.applied == ()
        assert portal.portal.current.settings.limits.person == 77
        (condition,) = portal.portal.rereading.check()
        assert condition.state == "degraded"
        assert words in condition.detail
        async with aiohttp.ClientSession(portal.url) as http, http.get("/health") as answer:
            assert (await answer.json())["status"] == "degraded"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, "[limits]\nperson = 77\n")
    async with open_test_portal(tmp_path, watching=True) as portal:
        (tmp_path / "portal.toml").chmod(0)
        assert "cannot be read" in (await portal.portal.rereading.now()).problem


async def test_a_change_is_seen_and_half_a_file_is_waited_for(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path, watching=True) as portal:
        path, rereading = tmp_path / "portal.toml", portal.portal.rereading
        before = rereading.last
        with path.open("w", encoding="utf-8") as file:
            file.write("[limits]\nperson = ")
            file.flush()
            await asyncio.sleep(0.3)
            file.write("5\n")
        async with asyncio.timeout(20):
            while rereading.last is before:
                await asyncio.sleep(0.05)
        assert (rereading.last.problem, rereading.last.applied) == ("", ["limits.person"])


async def test_only_those_who_run_it_may(tmp_path: Path) -> None:
    from portal.testing.records import user

    async with open_test_portal(tmp_path) as portal, aiohttp.ClientSession(portal.url) as http:
        await portal.portal.storage.people.add(user(id="user_other", role="member"))
        _, key = await portal.portal.credentials.create_key("user_other", "key")
        for method, path in (("GET", "/portal/v1/config"), ("POST", "/portal/v1/config/reload")):
            async with http.request(method, path, headers={"Authorization": f"Bearer {key}"}) as answer:
                assert answer.status == 403
            async with http.request(method, path, headers=portal.headers) as answer:
                assert (await answer.json())["restart"] == []


TOML = """\
a = 1
[server]
port = 1
"allowed_hosts" = []
[[backends]]
kind = "a"
[[backends]]
url = "b"
[workspaces."my own"] # mine
tools = [
  "x",
]
people.roles.guest.tokens = 3
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (["a"], 1),
        (["server", "port"], 3),
        (["server", "allowed_hosts"], 4),
        (["server", "host"], 2),
        (["backends", 0, "kind"], 6),
        (["backends", 1, "kind"], 7),
        (["backends", 1, "url"], 8),
        (["workspaces", "my own", "tools", 0], 10),
        (["nowhere"], None),
    ],
)
def test_where_a_setting_stands(where: list[str | int], line: int | None) -> None:
    assert line_of(TOML, where) == line
