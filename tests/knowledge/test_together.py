"""Documents that come at the same moment, where there is no collection for them yet."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from portal.core.tools import ToolContext
from portal.knowledge.keeping import KnowledgeKeeping
from portal.knowledge.shelf import ConversationShelf
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import OWNER, conversation, file
from portal.testing.scripted_speech import ScriptedTranscriber


async def pieces(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def test_tools_that_run_together_make_one_collection(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        context = ToolContext(owner=OWNER, call_id="c", response_id="r", workspace="auto", folder=tmp_path / "work")
        keeping = KnowledgeKeeping(collections=storage.collections, documents=storage.documents, files=storage.files)
        async with asyncio.TaskGroup() as tasks:
            adding = [
                tasks.create_task(keeping.call("add_document", {"name": f"{name}.md", "text": name}, context))
                for name in ("one", "two", "three")
            ]
            while len(await storage.database.fetch("SELECT id FROM documents")) < len(adding):
                await asyncio.sleep(0.01)
            for task in adding:
                task.cancel()
        (only,) = (await storage.collections.list(OWNER)).data
        assert only.counts.total == 3


async def test_turns_that_bring_files_together_have_one_collection(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.conversations.create(talk := conversation())
        shelf = ConversationShelf(
            collections=storage.collections,
            documents=storage.documents,
            files=storage.files,
            transcriber=ScriptedTranscriber(),
            seconds=1,
        )
        kept = [(await storage.files.create(file(filename=f"{name}.md"), pieces(name))).id for name in ("one", "two")]
        async with asyncio.TaskGroup() as tasks:
            for one in kept:
                tasks.create_task(shelf.put(OWNER, talk.id, [one], chain=False))
        assert set(await shelf.of(OWNER, talk.id)) == set(kept)
