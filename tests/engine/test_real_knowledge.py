"""A real model in a real engine answers from a document, found by the embedder that comes with the install."""

from pathlib import Path

import openai
import pytest

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.knowledge.minilm import MiniLM
from portal.testing.portal import open_test_portal

pytestmark = [pytest.mark.engine, pytest.mark.slow]


async def test_it_answers_from_a_document_and_cites_it(engine_url: str, tmp_path: Path) -> None:
    backend = OpenAICompatible(Config(url=engine_url))
    async with (
        open_test_portal(tmp_path / "data", backends=[backend], embedder=MiniLM()) as portal,
        openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key) as client,
    ):
        without = await client.responses.create(model="auto", input="What is the door code?", temperature=0)
        store = await client.vector_stores.create(name="House")
        file = await client.files.create(file=("door.txt", b"The door code is 4821."), purpose="assistants")
        await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)

        answer = await client.responses.create(model="auto", input="What is the door code?", temperature=0)

    assert without.output_text == "I do not know the door code."
    assert answer.output_text == "The door code is 4821."
    assert [item.type for item in answer.output] == ["file_search_call", "message"]
    (note,) = answer.output[1].content[0].annotations
    assert (note.type, note.file_id, note.filename) == ("file_citation", file.id, "door.txt")
