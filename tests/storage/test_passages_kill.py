"""A process killed while it stores, moves and drops passages leaves words, vectors and text that belong together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from portal.core.passages import Within
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import open_storage
from portal.testing.records import OWNER

SCRIPT = """
import asyncio, pathlib, sys
import numpy as np
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import OWNER, passage

async def main():
    dice = np.random.default_rng(1)
    async with open_storage(Settings(data_dir=pathlib.Path(sys.argv[1]))) as storage:
        for number in range(400):
            rows = dice.normal(size=(100, 16)).astype(np.float32)
            name = f"file_{number % 90}"
            pieces = [passage(f"common round{number}", document=name, position=n) for n in range(100)]
            await storage.passages.replace(OWNER, "documents", name, pieces, embedder="e", vectors=rows)
            print("stored", number, flush=True)
            if number % 7 == 6:
                await storage.passages.drop(OWNER, "documents", document=f"file_{(number - 3) % 90}")
                print("dropped", number - 3, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 40, 52, 66, 90, 130, 180])
async def test_what_is_there_after_a_kill_belongs_together(tmp_path: Path, lines: int) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().split() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        said += [line.split() for line in writer.stdout if line.endswith("\n")]
        writer.wait()
    there: dict[int, int] = {}
    for what, number in said:
        there |= {int(number) % 90: int(number)} if what == "stored" else {}
        if what == "dropped":
            there.pop(int(number) % 90, None)
    last = int(said[-1][1])
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        (total,) = await storage.database.fetch("SELECT COUNT(*) AS passages FROM passages")
        assert total["passages"] % 100 == 0
        words = await storage.passages.words(Within(owner=OWNER, space="documents"), "common", 100_000)
        assert len(words) == total["passages"]
        assert await storage.passages.embedders() == {"e": total["passages"]}
        assert await storage.passages.unembedded("e", 10) == []
        for document, number in there.items():
            if document in {(last + step) % 90 for step in range(-4, 2)}:
                continue  # what was under way when it was killed
            pieces = await storage.passages.of(OWNER, f"file_{document}")
            assert {piece.text for piece in pieces} == {f"common round{number}"}
            query = np.ones(16, np.float32) / 4
            cosines = await storage.passages.cosines(OWNER, "e", query, [piece.id for piece in pieces])
            assert len(cosines) == 100
        await storage.passages.tend()
        await storage.database.batch(
            [Statement("INSERT INTO documents_words (documents_words) VALUES ('integrity-check')")]
        )
        assert await storage.database.fetch("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


LEAVING = """
import asyncio, pathlib, sys
from portal.core.clock import micros
from portal.core.collections import NewDocument, ReadText
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import OWNER, collection, file, passage

async def content():
    yield b"x"

async def main():
    async with open_storage(Settings(data_dir=pathlib.Path(sys.argv[1]))) as storage:
        shelf = collection()
        await storage.collections.create(shelf)
        new = NewDocument(file_id=(await storage.files.create(file(), content())).id)
        await storage.documents.add(OWNER, shelf.id, [new])
        job = await storage.reading_queue.claim(micros(), 2**60)
        pieces = [
            passage(f"zanzibar{n}", document=job.document.id, group=shelf.id, position=n) for n in range(2000)
        ]
        print("begun", flush=True)
        await storage.reading_queue.complete(job, "k", ReadText(passages=pieces))
        print("stored", flush=True)
        await storage.collections.delete(OWNER, shelf.id)
        print("deleted", flush=True)
        await storage.cleaning.clean()
        print("clean", flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("word", ["begun", "stored", "deleted"])
async def test_what_is_half_stored_or_half_deleted_after_a_kill_is_found_by_nobody(tmp_path: Path, word: str) -> None:
    command = [sys.executable, "-c", LEAVING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as writer:
        assert writer.stdout is not None
        assert any(line.strip() == word for line in writer.stdout)
        os.kill(writer.pid, signal.SIGKILL)
        said = [word, *(line.strip() for line in writer.stdout)]
        writer.wait()
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        found = await storage.passages.words(Within(owner=OWNER, space="documents"), "zanzibar1 zanzibar1999", 9)
        assert len(found) in (0, 2)
        assert found == [] or "deleted" not in said
        await storage.reading_queue.release()
        assert await storage.cleaning.clean()
        (left,) = await storage.database.fetch("SELECT COUNT(*) AS passages FROM passages")
        assert left["passages"] == (2000 if found else 0)
    if not found:
        assert b"zanzibar" not in b"".join(path.read_bytes() for path in tmp_path.glob("portal.db*"))
