"""What was deleted really goes: in the background, in steps that keep nobody else from writing for long, for several
deletions at once. What a step leaves is found by nobody, and the next start goes on with it."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from portal.core.clock import micros
from portal.core.passages import Space
from portal.errors import StorageError
from portal.storage.database import Database, Statement
from portal.storage.key_values import DELETE as FORGET_MARK
from portal.storage.key_values import SAVE
from portal.storage.passage_filters import ELEMENTS
from portal.storage.passage_index import Index
from portal.storage.rows import to_json

logger = logging.getLogger(__name__)

AT_ONCE = 64
"""Passages, or documents, of one step."""
QUIET = 1.0
"""Seconds after a deletion in which others may join it, before the files are gone through."""
AT_THE_END = 10.0
"""Seconds that a database which is closed is given; the rest is done when it is opened again."""
_AGAIN = 60.0
"""Until the next try, where others kept the files busy."""
_SPACES: tuple[Space, ...] = ("documents", "memories", "turns")
_EVER = 2**62

HIDE = f"""
INSERT INTO hidden_passages (document, owner, first_key, last_key, claim)
VALUES (:document, :owner, 0, {_EVER}, '')
ON CONFLICT (document, first_key) DO UPDATE SET last_key = excluded.last_key, claim = ''"""

MARKS = """
SELECT name, value FROM key_values
WHERE name IN ('left.documents', 'left.memories', 'left.turns', 'left.files')"""
FORGET = f"{FORGET_MARK} AND value = :value"

# What somebody was storing who is not at it any more.
_STALE = """claim > '' AND NOT EXISTS (
    SELECT 1 FROM documents d
    WHERE d.id = hidden_passages.document AND d.claim = hidden_passages.claim AND d.status = 'in_progress')"""
STALE = f"SELECT 1 FROM hidden_passages WHERE {_STALE} LIMIT 1"
GIVE_UP = f"""
UPDATE hidden_passages SET claim = '', last_key = (
    SELECT COALESCE(MAX(p.key), 0) FROM passages p
    WHERE p.owner = hidden_passages.owner AND p.document = hidden_passages.document)
WHERE {_STALE}"""
HIDDEN = "SELECT document, owner, first_key, last_key FROM hidden_passages WHERE claim = '' LIMIT 1"
SOME_HIDDEN = """
SELECT key FROM passages WHERE owner = :owner AND document = :document AND key BETWEEN :first_key AND :last_key
ORDER BY key LIMIT :most"""
UNHIDE = """
DELETE FROM hidden_passages
WHERE document = :document AND first_key = :first_key AND last_key = :last_key AND claim = ''"""

LEAVING = "SELECT id AS collection_id, owner, leaving FROM collections WHERE leaving > 0 LIMIT 1"
SOME_OF_COLLECTION = """
SELECT key FROM passages WHERE owner = :owner AND space = 'documents' AND in_group = :collection_id
ORDER BY key LIMIT :most"""
SOME_DOCUMENTS = "SELECT id FROM documents WHERE collection_id = :collection_id ORDER BY created_at, id LIMIT :most"
HIDE_FILES = """
UPDATE files SET ready = 0 WHERE ready = 1 AND id IN (
    SELECT d.file_id FROM documents d WHERE d.id IN ({those}) AND (
        d.source_id IS NOT NULL OR :leaving = 2
        OR EXISTS (SELECT 1 FROM files f WHERE f.id = d.file_id AND f.purpose = 'conversation'))
        AND NOT EXISTS (
            SELECT 1 FROM documents o WHERE o.file_id = d.file_id
                AND o.collection_id NOT IN (SELECT id FROM collections WHERE leaving > 0)))"""
DELETE_ATTRIBUTES = "DELETE FROM passage_attributes WHERE owner = :owner AND document IN ({those})"
DELETE_DOCUMENTS = "DELETE FROM documents WHERE id IN ({those})"
UNHIDE_DOCUMENTS = "DELETE FROM hidden_passages WHERE document IN ({those})"
DELETE_COLLECTION = """
DELETE FROM collections WHERE id = :collection_id AND leaving > 0
    AND NOT EXISTS (SELECT 1 FROM documents WHERE collection_id = :collection_id)"""


class Cleaning:
    """Deletes what nobody finds any more."""

    def __init__(self, *, database: Database, index: Index) -> None:
        self._database, self._index = database, index
        self._called, self._alone = asyncio.Event(), asyncio.Lock()

    @staticmethod
    def marking(space: Space | Literal["files"]) -> Statement:
        """For a batch that deletes something: that this is to be done; files are in no index."""
        return Statement(SAVE, {"name": f"left.{space}", "value": to_json(micros())})

    def call(self) -> None:
        """After such a batch."""
        self._called.set()

    async def run(self) -> None:
        """For a server, in a task of its opener's."""
        while True:
            done = False
            try:
                done = await self.clean(QUIET)
            except StorageError:
                logger.exception("what was deleted could not be cleared away: it will be tried again")
            with suppress(TimeoutError):
                async with asyncio.timeout(None if done else _AGAIN):
                    await self._called.wait()
            self._called.clear()

    async def finish(self, seconds: float = AT_THE_END) -> None:
        """Before the database is closed: as far as there is time."""
        try:
            async with asyncio.timeout(seconds):
                await self.clean()
        except TimeoutError:
            logger.info("what was deleted is cleared away at the next start")
        except StorageError:
            logger.exception("what was deleted could not be cleared away")

    async def clean(self, pause: float = 0) -> bool:
        """Do all of it now, or `pause` seconds before the files; whether nothing is left to do."""
        async with self._alone:
            if await self._database.fetch(STALE):
                await self._database.batch([self.marking("documents"), Statement(GIVE_UP)])
            while await self._step():
                pass
            if not await self._marks():
                return True
            await asyncio.sleep(pause)
            marks = await self._marks()
            while await self._step():
                pass
            for space in _SPACES:
                if f"left.{space}" in marks:
                    await self._index.scrub(space)
            done = await self._database.scrub()
            if done:
                forgotten = [Statement(FORGET, {"name": name, "value": value}) for name, value in marks.items()]
                await self._database.batch(forgotten)
            return done and not await self._marks()

    async def _marks(self) -> Mapping[str, str]:
        return {row["name"]: row["value"] for row in await self._database.fetch(MARKS)}

    async def _step(self) -> bool:
        """A few of what is to go; whether there may be more."""
        for row in await self._database.fetch(HIDDEN):
            if not await self._some(SOME_HIDDEN, row):
                await self._database.batch([Statement(UNHIDE, row)])
            return True
        for row in await self._database.fetch(LEAVING):
            if not await self._some(SOME_OF_COLLECTION, row) and not await self._documents(row):
                await self._database.batch([Statement(DELETE_COLLECTION, row)])
            return True
        return False

    async def _some(self, which: str, args: Mapping[str, object]) -> bool:
        """Passages; whether there may be more. None deleted says little: another server may have been at the same."""
        more = {**args, "most": AT_ONCE}
        where = f"key IN ({which})"
        words = self._index.forget_words("documents", where, more)
        delete = Statement(f"DELETE FROM passages WHERE {where} RETURNING key", more)
        if (await self._database.batch([*words, delete]))[-1]:
            return True
        return bool(await self._database.fetch(which, **{**more, "most": 1}))

    async def _documents(self, collection: Mapping[str, object]) -> bool:
        """Documents of a collection whose passages are gone; whether there were any. They are named: each step would
        find others where another server is at the same."""
        found = await self._database.fetch(SOME_DOCUMENTS, **collection, most=AT_ONCE)
        those, named = ELEMENTS[self._database.dialect].format("ids"), {"ids": to_json([row["id"] for row in found])}
        steps = (HIDE_FILES, DELETE_ATTRIBUTES, UNHIDE_DOCUMENTS, DELETE_DOCUMENTS) if found else ()
        await self._database.batch([Statement(sql.format(those=those), {**collection, **named}) for sql in steps])
        return bool(found)
