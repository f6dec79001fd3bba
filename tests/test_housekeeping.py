"""What a server tidies up by itself."""

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from portal.app.housekeeping import keep_folders, sweep_folders, sweep_temporary
from portal.core.clock import micros
from portal.testing.portal import open_test_portal

DAY = 86_400_000_000


async def test_folders_of_conversations_that_are_gone_are_deleted(tmp_path: Path) -> None:
    async with (
        open_test_portal(tmp_path) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        ids = [(await (await client.post("/v1/conversations", json={})).json())["id"] for _ in range(3)]
        kept, hidden, gone = ids
        conversations, work = portal.portal.storage.conversations, portal.portal.settings.data_dir / "work"
        await conversations.delete(portal.owner, [gone])
        await conversations.purge(micros() + DAY)
        await conversations.delete(portal.owner, [hidden])
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "mine.txt").write_text("mine")
        for name in (kept, hidden, gone, "resp_never_kept"):
            (work / name / "inner").mkdir(parents=True)
            (work / name / "inner/link").symlink_to(elsewhere)
        (work / "link").symlink_to(elsewhere)
        (work / "file").touch()

        await sweep_folders(portal.portal.storage, work, micros())
        assert (work / gone).exists(), "it was used a moment ago"
        await sweep_folders(portal.portal.storage, work, micros() + 2 * DAY)

    assert sorted(os.listdir(work)) == sorted([kept, hidden, "link", "file"])
    assert (elsewhere / "mine.txt").read_text() == "mine"


async def test_what_cannot_be_deleted_stops_nothing(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path) as portal:
        await sweep_folders(portal.portal.storage, tmp_path / "nothing", micros())


async def test_a_file_system_that_fails_stops_no_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_test_portal(tmp_path) as portal:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await keep_folders(portal.portal.storage, tmp_path / ("x" * 300))
    assert "could not be" in caplog.text


def test_temporary_folders_of_a_killed_server_are_deleted_and_no_others(tmp_path: Path) -> None:
    now = micros()
    old = [f"portal-{kind}-a1b2_c3d" for kind in ("heard", "import", "read", "sandbox", "skills")]
    others = ["portal-database", "portal-backup-a1b2c3d4", "portal-read-a1b2_c3d.zip", "other"]
    for name in (*old, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recording.wav").write_bytes(b"words")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "portal-heard-younger_").mkdir()
    (tmp_path / "portal-heard-linked__").symlink_to(tmp_path / "other")
    sweep_temporary(tmp_path, now)
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == sorted([*others, "portal-heard-younger_", "portal-heard-linked__"])
