"""Files attached to a message that its model cannot take in whole: kept with the conversation, searched and cited."""

import base64
import io
from pathlib import Path

import openai
import pytest
import pytest_asyncio
from tests.knowledge.bag import BagEmbedder

from portal.backends.scripted import ScriptedBackend
from portal.core.clock import micros
from portal.errors import NotFound
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPORT = Path(__file__).parents[2] / "tools" / "files" / "report.docx"
LONG = "\n\n".join(
    [*(f"Chapter {n} says nothing of interest about number{n}." for n in range(400)), "The door code is 4821."]
).encode()
QUESTION = "What is the door code?"
LATER = "Of interest about number77: what does this chapter say?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", embedder=BagEmbedder()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal):
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


async def uploaded(client, content: bytes, name: str = "house.txt") -> str:
    return (await client.files.create(file=(name, io.BytesIO(content)), purpose="user_data")).id


def said(text: str, **file: str):
    content = [{"type": "input_text", "text": text}, {"type": "input_file", **file}]
    return [{"type": "message", "role": "user", "content": content}]


def system(backend: ScriptedBackend) -> str:
    return "\n".join(str(one["content"]) for one in backend.requests[-1].messages if one["role"] == "system")


def user(backend: ScriptedBackend) -> str:
    return "\n".join(str(one["content"]) for one in backend.requests[-1].messages if one["role"] == "user")


async def shelves(portal, conversation: str):
    return await portal.portal.storage.collections.of_conversation(portal.owner, conversation)


@pytest.mark.parametrize("model", ["tiny", "auto"])
async def test_a_long_file_is_searched_and_cited_and_goes_with_its_conversation(client, portal, backend, model):
    conversation = (await client.conversations.create()).id
    file_id = await uploaded(client, LONG)
    backend.answer("It is 4821 [1].")
    response = await client.responses.create(
        model=model, conversation=conversation, input=said(QUESTION, file_id=file_id)
    )
    call, message = response.output
    assert call.type == "file_search_call"
    (note,) = message.content[0].annotations
    assert (note.file_id, note.filename) == (file_id, "house.txt")
    assert "4821" in system(backend)
    assert "number7." not in user(backend)
    assert "The file house.txt is attached" in user(backend)

    backend.answer("Nothing.")
    await client.responses.create(model=model, conversation=conversation, input=LATER)
    assert "number77." in system(backend)
    assert "number7." not in user(backend)

    kept = await shelves(portal, conversation)
    assert (kept.name, kept.counts.completed, kept.expires_days) == ("house.txt", 1, None)
    storage = portal.portal.storage
    assert [one.id for one in (await storage.collections.list(portal.owner)).data if one.conversation_id] == [kept.id]
    await storage.conversations.delete(portal.owner, [conversation])
    await storage.conversations.purge(micros() + 1)
    assert await shelves(portal, conversation) is None
    with pytest.raises(NotFound):
        await storage.collections.get(portal.owner, kept.id)
    assert await storage.cleaning.clean()


@pytest.mark.parametrize("kept_in", ["conversation", "chain"])
async def test_what_nobody_uploaded_goes_with_what_it_was_attached_to(client, portal, backend, kept_in):
    """A file that came within a request, and one that its owner has among their files."""
    mine = await uploaded(client, LONG)
    backend.answer("Yes.")
    data = f"data:text/plain;base64,{base64.b64encode(LONG + kept_in.encode()).decode()}"
    items = [*said(QUESTION, file_data=data, filename="inline.txt"), *said("And this?", file_id=mine)]
    conversation = (await client.conversations.create()).id if kept_in == "conversation" else openai.NOT_GIVEN
    response = await client.responses.create(model="auto", conversation=conversation, input=items)
    assert "inline.txt" in [one.filename async for one in client.files.list()]
    storage = portal.portal.storage
    if kept_in == "chain":
        await client.responses.delete(response.id)
    else:
        await storage.conversations.delete(portal.owner, [conversation])
        await storage.conversations.purge(micros() + 1)
    assert await shelves(portal, response.id if kept_in == "chain" else conversation) is None
    assert await storage.cleaning.clean()
    left = {one.id: one.filename async for one in client.files.list()}
    assert (mine in left, "inline.txt" in left.values()) == (True, False)


async def test_a_conversation_goes_on_when_what_its_file_said_is_deleted(client, portal, backend):
    conversation = (await client.conversations.create()).id
    file_id = await uploaded(client, REPORT.read_bytes(), "report.docx")
    backend.answer("Yes.")
    await client.responses.create(
        model="tiny", conversation=conversation, input=said("What does it say?", file_id=file_id)
    )
    await client.vector_stores.delete((await shelves(portal, conversation)).id)
    backend.answer("Gone.")
    await client.responses.create(model="tiny", conversation=conversation, input="And now?")
    assert f"What the file {file_id} says is not kept here any more." in user(backend)


async def test_other_conversations_do_not_see_it(client, portal, backend):
    conversation = (await client.conversations.create()).id
    backend.answer("Yes.")
    backend.answer("No.")
    await client.responses.create(
        model="auto", conversation=conversation, input=said(QUESTION, file_id=await uploaded(client, LONG))
    )
    response = await client.responses.create(model="auto", input=QUESTION)
    assert [item.type for item in response.output] == ["message"]
    assert "4821" not in system(backend)
    await portal.portal.storage.collections.delete(portal.owner, (await shelves(portal, conversation)).id)


async def test_a_small_file_is_told_as_it_is(client, portal, backend):
    conversation = (await client.conversations.create()).id
    backend.answer("4821.")
    await client.responses.create(
        model="tiny", conversation=conversation, input=said(QUESTION, file_id=await uploaded(client, b"Code: 4821"))
    )
    assert "Code: 4821" in user(backend)
    assert await shelves(portal, conversation) is None


async def test_an_office_file_is_told_whole_where_it_fits(client, portal, backend):
    conversation = (await client.conversations.create()).id
    backend.answer("A report.")
    file_id = await uploaded(client, REPORT.read_bytes(), "report.docx")
    response = await client.responses.create(
        model="tiny", conversation=conversation, input=said("Sum it up.", file_id=file_id)
    )
    found = response.output[0].model_extra["portal:found"]
    passages = await portal.portal.storage.documents.find(portal.owner, file_id=file_id)
    assert len(found) == passages[0].passages > 0
    assert "[1] report.docx" in system(backend)

    backend.answer("Nothing was asked.")
    await client.responses.create(model="tiny", conversation=conversation, input=said("", file_id=file_id))
    assert "[1] report.docx" in system(backend)


async def test_in_a_chain_a_file_comes_with_its_message(client, portal, backend):
    """In no conversation, and as a part of the request."""
    backend.answer("It is 4821 [1].")
    backend.answer("77.")
    data = "data:text/plain;base64," + base64.b64encode(LONG).decode()
    first = await client.responses.create(model="tiny", input=said(QUESTION, file_data=data, filename="house.txt"))
    assert [one.filename for one in first.output[1].content[0].annotations] == ["house.txt"]
    kept = await shelves(portal, first.id)
    assert kept.expires_days == 30
    await client.responses.create(model="tiny", input=LATER, previous_response_id=first.id)
    assert "number77." in system(backend)
    assert "number7." not in user(backend)
    assert (await shelves(portal, first.id)).counts.total == 1


async def test_what_is_not_stored_or_cannot_be_read_is_refused(client, portal, backend):
    file_id = await uploaded(client, REPORT.read_bytes(), "report.docx")
    with pytest.raises(openai.BadRequestError, match="is not text"):
        await client.responses.create(model="tiny", input=said(QUESTION, file_id=file_id), store=False)
    large = await uploaded(client, LONG * 200)
    with pytest.raises(openai.BadRequestError, match="over 2 MB"):
        await client.responses.create(model="tiny", input=said(QUESTION, file_id=large), store=False)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(
            model="tiny", input=said(QUESTION, file_id=await uploaded(client, b"\0\1" * 999, "x.bin"))
        )
    assert refused.value.code == "unsupported_file"
    recording = await uploaded(client, b"RIFF\xff\xff\0\0WAVEfmt " * 9, "talk.wav")
    with pytest.raises(openai.BadRequestError, match="is a recording"):
        await client.responses.create(model="tiny", input=said(QUESTION, file_id=recording))


async def test_one_that_cannot_be_read_after_all_is_told_as_such(client, portal, backend):
    backend.answer("I cannot read it.")
    file_id = await uploaded(client, REPORT.read_bytes()[:5000], "half.docx")
    response = await client.responses.create(model="tiny", input=said(QUESTION, file_id=file_id))
    assert "The attached file half.docx could not be read:" in system(backend)
    assert response.output[0].model_extra["portal:found"] == []
