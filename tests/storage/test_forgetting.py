"""What was dropped is not in the files any more: not its text, not its words, not its vector."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from portal.core.ids import new_id
from portal.core.passages import Within
from portal.settings import Settings
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.database import Statement
from portal.storage.open import open_storage
from portal.storage.vectors import HEAD, encoded
from portal.testing.records import OWNER, passage


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
