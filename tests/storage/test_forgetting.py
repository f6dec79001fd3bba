"""What was dropped is not in the files any more: not its text, not its words, not its vector."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.passages import Within
from portal.errors import NotFound
from portal.settings import Settings
from portal.settings.backup import RetentionSettings
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.storage.retention import DAY
from portal.storage.vectors import HEAD, encoded
from portal.testing.records import (
    OWNER,
    answered,
    audit,
    conversation,
    file,
    output,
    passage,
    response,
    said,
    usage,
    used,
)


def found(folder: Path, needles: list[bytes]) -> list[bytes]:
    content = b"".join(path.read_bytes() for path in folder.glob(f"{DATABASE_NAME}*"))
    return [needle for needle in needles if needle in content]


async def test_nothing_of_what_was_dropped_is_in_the_files(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    rows = dice.normal(size=(200, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pieces = [
        passage(f"Secretly{n}x the password is zanzibar{n}x", document=f"file_{n}", heading=(f"Hushhush{n}x",))
        for n in range(200)
    ]
    needles = [b"ecretly7x", b"zanzibar7x", b"ushhush7x", rows[7].tobytes()[:24]]
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        for one, row in zip(pieces, rows, strict=True):
            await storage.passages.replace(
                OWNER,
                "documents",
                one.document,
                [one],
                embedder="e",
                vectors=row[None],
                attributes={"note": "ushhush7x" if one is pieces[7] else new_id("note")},
            )
        assert found(tmp_path, needles) == needles
        for n in range(7, 200, 10):
            await storage.passages.drop(OWNER, "documents", document=f"file_{n}")
        assert found(tmp_path, [*needles, b"zanzibar17x", b"zanzibar197x"]) == []
        await storage.passages.drop(OWNER, "documents", group="vs_1")
        assert found(tmp_path, [b"zanzibar", b"ecretly", b"ushhush", rows[8].tobytes()[:24]]) == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
async def test_whatever_else_comes_and_goes_what_was_dropped_is_gone(tmp_path: Path, seed: int) -> None:
    """Rows move from page to page and leave copies behind; others write meanwhile."""
    dice = random.Random(seed)
    there: dict[str, str] = {}
    async with open_storage(Settings(data_dir=tmp_path)) as storage:

        async def put(number: int) -> None:
            word = there[f"file_{number}"] = f"zz{dice.randrange(10**9)}yy"
            text = f"{word} " + " ".join(str(dice.randrange(5000)) for _ in range(30))
            pieces = [passage(text, document=f"file_{number}", position=n) for n in range(dice.choice([1, 3, 10]))]
            await storage.passages.replace(OWNER, "documents", f"file_{number}", pieces)

        for number in range(0, 240, 3):
            async with asyncio.TaskGroup() as group:
                for one in range(3):
                    group.create_task(put(number + one))
                many = dice.choice([0, 0, 1, 1, len(there) // 2, len(there)])
                gone = dice.sample(sorted(there), min(many, len(there)))
                words = [there.pop(document).encode() for document in gone]
                for document in gone:
                    group.create_task(storage.passages.drop(OWNER, "documents", document=document))
            if words:
                await storage.passages.drop(OWNER, "documents", document="none")
            assert found(tmp_path, words) == []
        assert len(await storage.passages.words(Within(owner=OWNER, space="documents"), "zz", 10)) == 0
        rows = await storage.database.fetch("SELECT COUNT(DISTINCT document) AS documents FROM passages")
        assert rows[0]["documents"] == len(there)
        assert await storage.database.fetch("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        for table in ("documents_words", "memories_words"):
            await storage.database.batch([Statement(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")])


async def test_vectors_leave_their_cells_as_well(tmp_path: Path) -> None:
    dice = np.random.default_rng(2)
    rows = dice.normal(size=(4_200, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pieces = [passage("x", document=f"file_{n // 100}", position=n) for n in range(len(rows))]
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        for at in range(0, len(rows), 100):
            some, document = slice(at, at + 100), f"file_{at // 100}"
            await storage.passages.replace(OWNER, "documents", document, pieces[some], embedder="e", vectors=rows[some])
        await storage.passages.tend()
        codes = [encoded([1], rows[n : n + 1])[0, HEAD:].tobytes()[:20] for n in (7, 99, 4_100)]
        assert found(tmp_path, codes) == codes
        await storage.passages.drop(OWNER, "documents", document="file_0")
        assert found(tmp_path, codes) == codes[2:]
        assert found(tmp_path, [row.tobytes()[:24] for row in rows]) == []


KINDS = ("title", "question", "unfinished", "answer", "content", "name")


def secrets(*numbers: int, kinds: tuple[str, ...] = KINDS) -> list[bytes]:
    return [f"{kind}secret{number}x".encode() for number in numbers for kind in kinds]


async def converse(storage: Storage, number: int) -> None:
    """A conversation with a file, in which each text is found nowhere else."""

    async def content() -> AsyncIterator[bytes]:
        yield f"contentsecret{number}x ".encode() * 20

    turn = response(id=f"resp_{number}", conversation_id=f"conv_{number}")
    begun = answered(f"unfinishedsecret{number}x", item_id=f"msg_{number}", status="in_progress")
    whole = answered(f"answersecret{number}x " + "words " * 100, item_id=f"msg_{number}")
    await storage.conversations.create(conversation(id=f"conv_{number}", title=f"titlesecret{number}x"))
    await storage.turn_log.begin(turn, [said(f"questionsecret{number}x")])
    await storage.turn_log.flush(turn.id, output(turn.id, begun, position=0, last_seq=1))
    await storage.turn_log.append(turn.id, output(turn.id, whole, position=0, last_seq=2))
    await storage.files.create(file(id=f"file_{number}", filename=f"namesecret{number}x.txt"), content())


async def test_nothing_of_conversations_and_files_is_left_either(tmp_path: Path) -> None:
    """Not in rows, not in the words that they are searched by, not in the log of what was written."""
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        for number in range(40):
            await converse(storage, number)
        gone = range(0, 36, 7)
        assert len(found(tmp_path, secrets(*gone, kinds=("title", "question", "answer", "content", "name")))) == 30
        await storage.conversations.delete(OWNER, [f"conv_{number}" for number in gone])
        await storage.conversations.purge(micros() + 1)
        for number in gone:
            await storage.files.delete(OWNER, f"file_{number}")
        assert await storage.cleaning.clean()
        assert found(tmp_path, secrets(*gone)) == []

        await storage.responses.delete(OWNER, "resp_1")
        assert await storage.cleaning.clean()
        assert found(tmp_path, secrets(1, kinds=("question", "unfinished", "answer"))) == []

        await storage.files.delete(OWNER, "file_1")
        assert await storage.cleaning.clean()
        assert found(tmp_path, secrets(1, kinds=("content", "name"))) == []
        assert len(found(tmp_path, secrets(2, 39, kinds=("title", "question", "answer", "content", "name")))) == 10
        assert (await storage.conversations.list(OWNER, query="answersecret2x")).data != []


async def test_what_grew_too_old_is_gone_as_the_settings_say(tmp_path: Path) -> None:
    wanted = RetentionSettings(conversation_days=30, usage_days=10, audit_days=20)
    now = micros()
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        for name, days, pinned in (("old", 31, False), ("pinned", 31, True), ("new", 29, False)):
            at = now - days * DAY
            await storage.conversations.create(conversation(id=f"conv_{name}", updated_at=at, pinned=pinned))
        for name, days in (("old", 31), ("new", 1)):
            await storage.turn_log.begin(response(id=f"resp_{name}", created_at=now - days * DAY), [said("alone")])
        await storage.turn_log.recover()
        for days in (1, 9, 11, 300):
            storage.usage.record(usage(id=f"use_{days}", created_at=now - days * DAY))
        await used(storage)
        for days in (21, 19):
            await storage.audit.record(audit(at=now - days * DAY))
        await storage.forget_old(RetentionSettings())
        assert len((await storage.conversations.list(OWNER)).data) == 3

        await storage.forget_old(wanted)

        assert {one.id for one in (await storage.conversations.list(OWNER)).data} == {"conv_pinned", "conv_new"}
        assert await storage.conversations.restore(OWNER, ["conv_old"]) == ["conv_old"], "there is a time to object"
        with pytest.raises(NotFound):
            await storage.responses.get(OWNER, "resp_old")
        assert (await storage.responses.get(OWNER, "resp_new")).response.id == "resp_new"
        assert sum(row["calls"] for row in await used(storage)) == 2
        lines = (await storage.audit.whole()).data
        assert [(now - line.at) // DAY for line in lines if line.action != "audit.forgotten"] == [19]
        assert (await storage.audit.verify()).flaws == []
