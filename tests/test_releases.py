"""Data of every released version opens, is upgraded, and tells what it told the version that wrote it."""

import hashlib
import importlib.util
import json
import re
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core import clock
from portal.errors import DatabaseTooNew
from portal.settings import Settings
from portal.storage.migrate import packaged
from portal.storage.open import open_storage
from portal.testing.portal import open_test_portal
from portal.tools.function import Functions

ROOT = Path(__file__).parent.parent
RELEASES = sorted((ROOT / "tests/fixtures/releases").glob("*.tar.xz"))
CHANGING = {"last_used_at", "last_active_at", "current", "version", "api_base"}
"""What opening it changes by itself."""

_spec = importlib.util.spec_from_file_location("release_data", ROOT / "scripts/release_data.py")
assert _spec is not None
assert _spec.loader is not None
release_data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(release_data)


def unpacked(archive: Path, folder: Path) -> dict[str, Any]:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    expected: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    (folder / "expected.json").unlink()
    return expected


def written(expected: dict[str, Any]) -> int:
    """When, in Unix seconds: later some of it falls due and some ends."""
    answer: dict[str, Any] = expected["told"]["/v1/responses/{response}"]
    return int(answer["created_at"])


def missing(told: Any, now: Any, place: str) -> list[str]:
    """Where what is told now lacks something of what was told; more than that may be there."""
    if isinstance(told, dict) and isinstance(now, dict):
        inner = [
            missing(value, now.get(name), f"{place}.{name}") for name, value in told.items() if name not in CHANGING
        ]
        return [line for lines in inner for line in lines]
    if isinstance(told, list) and isinstance(now, list):
        if not all(isinstance(one, dict) and "id" in one for one in told):
            told, now = dict(enumerate(told)), dict(enumerate(now))
        else:
            told, now = ({one["id"]: one for one in some} for some in (told, now))
        return missing(told, now, place)
    return [] if told == now else [f"{place}: {told!r} is {now!r}"]


def test_there_is_data_of_every_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## ([\d.]+)", changelog, re.MULTILINE)[1:]
    assert {archive.name.removesuffix(".tar.xz") for archive in RELEASES} >= set(released)


@pytest.mark.parametrize("archive", RELEASES, ids=[archive.name.removesuffix(".tar.xz") for archive in RELEASES])
async def test_it_tells_what_it_told(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    expected = unpacked(archive, folder)
    ago = time.time_ns() - written(expected) * 10**9
    monkeypatch.setattr(clock, "time_ns", lambda: time.time_ns() - ago)
    before = (folder / "portal.db").read_bytes()
    schema = int.from_bytes(before[60:64], "big")
    backend = ScriptedBackend(models=["tiny"], default=echo)
    toolsets = [Functions("harbour", [release_data.moor])]

    async with (
        open_test_portal(folder, backends=[backend], toolsets=toolsets) as portal,
        aiohttp.ClientSession(headers=portal.headers) as client,
    ):
        api = release_data.Api(portal.url, client, expected["ids"])
        now = await api.read(tuple(expected["told"]))
        content = await api.content()
        turn = {"model": "tiny", "input": "And now?", "previous_response_id": expected["ids"]["second"]}
        answer = await api.call("POST", "/v1/responses", turn)

    assert missing(expected["told"], now, "") == []
    assert content == expected["content"] == hashlib.sha256(release_data.TEXT.encode()).hexdigest()
    assert answer["status"] == "completed"
    if schema < packaged("sqlite")[-1].version:
        kept = folder / f"portal.db.schema-{schema}"
        connection = apsw.Connection(str(kept))
        assert connection.pragma("integrity_check") == "ok"
        assert connection.pragma("user_version") == schema
        connection.close()


async def test_the_present_version_can_be_kept_like_that(tmp_path: Path) -> None:
    """What a release will be kept by works now, and finds every part of it that this version has."""
    made = await release_data.make(tmp_path / "data")

    assert {name for name, *_ in release_data.STEPS} - made["ids"].keys() <= {
        "rating",
        "preferences",
        "workspace",
        "share",
    }
    assert made["told"].keys() == set(release_data.READS)


async def test_data_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    unpacked(RELEASES[-1], tmp_path)
    path = tmp_path / "portal.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999").fetchall()
    connection.close()
    shutil.copytree(tmp_path, tmp_path / "before")
    before = path.read_bytes()

    with pytest.raises(DatabaseTooNew, match="Update Portal"):
        async with open_storage(Settings(data_dir=tmp_path)):
            pass

    assert path.read_bytes() == before
    assert not list(tmp_path.glob("portal.db.*"))
