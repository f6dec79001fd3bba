"""Files of a folder: every chat in it is told them, the long ones and documents by what bears on the question."""

import io
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from tests.interfaces.openai.conftest import Api
from tests.knowledge.bag import BagEmbedder

from portal.backends.scripted import ScriptedBackend
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPORT = Path(__file__).parents[2] / "tools" / "files" / "report.docx"
LONG = "\n\n".join(
    [*(f"Chapter {n} says nothing of interest about number{n}." for n in range(400)), "The door code is 4821."]
).encode()
QUESTION = "What is the door code?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", embedder=BagEmbedder()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal):
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


async def folder(api: Api, client: openai.AsyncOpenAI, **files: bytes) -> dict[str, Any]:
    ids = [
        (await client.files.create(file=(name.replace("_", "."), io.BytesIO(content)), purpose="user_data")).id
        for name, content in files.items()
    ]
    made = await api.post("/portal/v1/folders", {"name": "House", "instructions": "Be kind.", "file_ids": ids})
    return made.json()


async def chat(api: Api, inside: dict[str, Any]) -> str:
    made = await api.post("/portal/v1/conversations", {"folder_id": inside["id"]})
    return str(made.json()["id"])


def told(backend: ScriptedBackend) -> str:
    return "\n".join(str(one["content"]) for one in backend.requests[-1].messages if one["role"] == "system")


async def shelf(portal: TestPortal, inside: dict[str, Any]):
    return await portal.portal.storage.collections.of_conversation(portal.owner, inside["id"])


@pytest.mark.parametrize("model", ["tiny", "auto"])
async def test_long_and_office_files_are_read_once_searched_and_cited_in_every_chat(
    api, client, portal, backend, model
):
    inside = await folder(api, client, house_txt=LONG, note_txt=b"Rent is 900.", report_docx=REPORT.read_bytes())
    for _ in range(2):
        backend.answer("It is 4821 [1].")
        response = await client.responses.create(model=model, conversation=await chat(api, inside), input=QUESTION)
        assert [item.type for item in response.output] == ["file_search_call", "message"]
        (note,) = response.output[1].content[0].annotations
        assert (note.file_id, note.filename) == (inside["file_ids"][0], "house.txt")
        assert "Be kind." in told(backend)
        assert "Rent is 900." in told(backend)
        assert "The door code is 4821." in told(backend)
        assert "number7." not in told(backend)
    kept = await shelf(portal, inside)
    assert (kept.name, kept.counts.total, kept.expires_days) == ("House", 2, None)

    outside = (await client.conversations.create()).id
    backend.answer("I do not know.")
    response = await client.responses.create(model=model, conversation=outside, input=QUESTION)
    assert [item.type for item in response.output] == ["message"]
    assert "4821" not in told(backend)
    await api.client.delete(f"/portal/v1/folders/{inside['id']}")


async def test_an_office_file_is_told_whole_where_it_fits(api, client, backend):
    inside = await folder(api, client, report_docx=REPORT.read_bytes())
    backend.answer("A report.")
    response = await client.responses.create(model="tiny", conversation=await chat(api, inside), input="Sum it up.")
    assert response.output[0].model_extra["portal:found"]
    assert "[1] report.docx" in told(backend)


async def test_what_is_taken_out_is_not_found_any_more_and_all_goes_with_the_folder(api, client, portal, backend):
    inside = await folder(api, client, house_txt=LONG, report_docx=REPORT.read_bytes())
    place = f"/portal/v1/folders/{inside['id']}"
    conversation = await chat(api, inside)
    backend.answer("4821.")
    await client.responses.create(model="tiny", conversation=conversation, input=QUESTION)
    assert (await shelf(portal, inside)).counts.total == 2

    await api.client.put(place, json={"name": "House", "file_ids": inside["file_ids"][1:]})
    backend.answer("I do not know.")
    await client.responses.create(model="tiny", conversation=conversation, input=QUESTION)
    assert "4821" not in told(backend)
    assert (await shelf(portal, inside)).counts.total == 1
    assert (await client.files.retrieve(inside["file_ids"][0])).filename == "house.txt"

    await api.client.delete(place)
    assert await shelf(portal, inside) is None
    assert await portal.portal.storage.cleaning.clean()
    backend.answer("Nothing.")
    await client.responses.create(model="tiny", conversation=conversation, input="And now?")
    assert "report.docx" not in told(backend)


async def test_a_file_that_is_gone_or_cannot_be_read_keeps_no_chat_from_going_on(api, client, backend):
    inside = await folder(api, client, gone_txt=b"Gone.", x_bin=b"\0\1" * 999, note_txt=b"Rent is 900.")
    await client.files.delete(inside["file_ids"][0])
    conversation = await chat(api, inside)
    for _ in range(2):
        backend.answer("Yes.")
        response = await client.responses.create(model="tiny", conversation=conversation, input="Well?")
        assert response.output_text == "Yes."
    assert f"The file {inside['file_ids'][0]} was deleted." in told(backend)
    assert "The file 'x.bin' is not text." in told(backend)
    assert "Rent is 900." in told(backend)
