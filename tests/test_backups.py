"""Backups that a server makes by itself, and through its API: by a process of its own, checked, the oldest deleted."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import click
import pytest
from pydantic import SecretStr

from portal.app.backups import ServerBackups
from portal.cli.backup_doctor import backup_findings
from portal.cli.finding import Finding
from portal.core.clock import now
from portal.errors import Conflict, StorageError
from portal.settings import Settings
from portal.settings.backup import BackupSettings
from portal.settings.live import Current
from portal.storage.backups.making import Wanted, make_backup, verify_backup
from portal.storage.backups.shelf import Outcome, last, note, prune, shelved
from portal.storage.open import open_storage
from portal.testing.portal import open_test_portal


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    wanted = BackupSettings(folder=tmp_path / "kept", keep=2, every=1)
    made = Settings(data_dir=tmp_path / "data", backup=wanted)
    async with open_storage(made):
        return made


def changed(settings: Settings, **fields: object) -> Settings:
    return settings.model_copy(update={"backup": settings.backup.model_copy(update=fields)})


def findings(settings: Settings) -> list[Finding]:
    with click.Context(click.Command("doctor")):
        return list(backup_findings(settings))


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not check():
            await asyncio.sleep(0.05)


async def running(backups: ServerBackups, until_then: Awaitable[None]) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(backups.run())
        await until_then
        task.cancel()


async def test_one_is_made_when_it_is_due_and_the_oldest_go(settings: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for day in (1, 2):
        (kept / f"portal-2026010{day}-000000.portal-backup").touch()
    (kept / "mine.portal-backup").touch()
    oldest = kept / "portal-20260101-000000.portal-backup"

    await running(ServerBackups(current=Current(settings), after_start=0), until(lambda: not oldest.exists()))
    await running(ServerBackups(current=Current(settings), after_start=0), asyncio.sleep(0.2))

    newest, *others = shelved(kept)
    assert verify_backup(newest.path, None, tmp_path / "scratch").head == newest.head
    names = sorted(one.path.name for one in others)
    assert names == ["mine.portal-backup", "portal-20260102-000000.portal-backup"]
    assert all("not a backup" in one.problem for one in others)
    found = findings(settings)
    assert [one.state for one in found] == ["good"]


async def test_a_failure_is_told_in_the_log_and_by_the_doctor(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file in its place")

    await running(
        ServerBackups(current=Current(settings), after_start=0), until(lambda: "THE BACKUP FAILED" in caplog.text)
    )
    (settings.data_dir / "portal.db").write_bytes(b"nothing")
    (tmp_path / "kept").unlink()
    with pytest.raises(StorageError, match="could not be made"):
        await ServerBackups(current=Current(settings)).make()

    outcome = last(settings.data_dir)
    assert outcome is not None
    assert outcome.error
    assert [one.state for one in findings(settings)] == ["bad", "note"]
    assert findings(settings)[0].mend


async def test_the_doctor_misses_backups_that_are_too_old(settings: Settings, tmp_path: Path) -> None:
    silent = changed(settings, folder=None)
    assert [one.state for one in findings(silent)] == ["note"]
    make_backup(settings, Wanted(target=tmp_path / "kept" / "a.portal-backup"))
    note(settings.data_dir, Outcome(at=now().isoformat(), path="a"))
    assert [one.state for one in findings(silent)] == ["good"]
    assert [one.state for one in findings(settings)] == ["good"]
    late = changed(settings, every=timedelta(microseconds=1) / timedelta(hours=1))
    assert [("too old" in one.text, bool(one.mend)) for one in findings(late)] == [(True, True)]
    (settings.data_dir / ".restoring").mkdir()
    assert ["interrupted" in one.text for one in findings(settings)] == [True, False]


async def test_stopping_ends_the_one_that_is_being_made(settings: Settings, tmp_path: Path) -> None:
    making = asyncio.timeout(0.3)
    with contextlib.suppress(TimeoutError):
        async with making:
            await ServerBackups(current=Current(changed(settings, password=SecretStr("x")))).make()
    assert [name for name in os.listdir(tmp_path / "kept") if name.endswith(".unfinished")] == []


async def test_admins_see_and_make_them_over_the_api(tmp_path: Path) -> None:
    wanted = {"backup": {"folder": str(tmp_path / "kept"), "password": "correct horse"}}
    async with (
        open_test_portal(tmp_path / "data", settings=wanted) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        before = await (await client.get("/portal/v1/backups")).json()
        made = await (await client.post("/portal/v1/backups")).json()
        other = await client.post("/portal/v1/users", json={"name": "M", "role": "member", "invite": False})
        member = await portal.portal.credentials.create_key((await other.json())["id"], "theirs")
        refused = [
            (
                await client.request(method, "/portal/v1/backups", headers={"Authorization": f"Bearer {member[1]}"})
            ).status
            for method in ("GET", "POST")
        ]

    assert (before["last"], before["data"], before["scheduled"], before["sealed"]) == (None, [], True, True)
    assert before["next_at"] is not None
    assert made["last"]["error"] == ""
    assert [(one["sealed"], one["problem"]) for one in made["data"]] == [(True, "")]
    assert refused == [403, 403]


async def test_one_at_a_time(settings: Settings) -> None:
    backups = ServerBackups(current=Current(settings))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(backups.make())
        await asyncio.sleep(0)
        with pytest.raises(Conflict, match="being made"):
            await backups.make()
    assert first.result()["running"] is False
    unwanted = ServerBackups(current=Current(changed(settings, folder=None)), after_start=0)
    await running(unwanted, asyncio.sleep(0.1))
    assert not (settings.data_dir / "backups").exists()


async def test_the_pause_counts_from_our_own_newest_one(settings: Settings, tmp_path: Path) -> None:
    """Neither one from the future, of a clock that was a day ahead, nor one that somebody put there holds it up."""
    kept = tmp_path / "kept"
    own = kept / "portal-20260102-000000.portal-backup"
    make_backup(settings, Wanted(target=kept / "mine.portal-backup"))
    late = await ServerBackups(current=Current(settings)).status()
    make_backup(settings, Wanted(target=own))
    next_at = (await ServerBackups(current=Current(settings)).status())["next_at"]
    ahead = own.read_bytes().replace(now().strftime("%Y-%m-%dT").encode(), b"2999-01-01T")
    own.write_bytes(ahead)
    future = await ServerBackups(current=Current(settings)).status()

    assert datetime.fromisoformat(late["next_at"]) <= now()
    assert now() < datetime.fromisoformat(next_at) <= now() + timedelta(hours=1)
    assert datetime.fromisoformat(future["next_at"]) <= now()


def test_only_what_portal_named_is_deleted(tmp_path: Path) -> None:
    for name in ("portal-20260101-000000.portal-backup", "portal-20260102-000000.portal-backup", "b.portal-backup"):
        (tmp_path / name).touch()
    broken = tmp_path / "portal-20260103-000000.portal-backup.unfinished"
    broken.touch()
    (tmp_path / "mine.unfinished").touch()
    assert [one.name for one in prune(tmp_path, 1)] == ["portal-20260101-000000.portal-backup", broken.name]
    assert (tmp_path / "mine.unfinished").exists()
    assert last(tmp_path) is None
    (tmp_path / "last-backup.json").write_text("[]")
    assert last(tmp_path) is None
