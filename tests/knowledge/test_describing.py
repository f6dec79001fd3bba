"""Pictures are described by a model that sees, where one is there."""

import base64
from pathlib import Path

import openai
import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.completion import Completions
from portal.core.model import ModelInfo
from portal.knowledge.describing import PictureDescriber
from portal.testing.portal import TestPortal, open_test_portal

SEES = frozenset({"chat", "vision"})
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def seeing(**fields: object) -> ModelInfo:
    return ModelInfo(**{"id": "eyes", "backend": "", "capabilities": SEES, **fields})  # type: ignore[arg-type]


async def added(portal: TestPortal, content: bytes = DOT, name: str = "pear.png") -> tuple[str, str]:
    """Status of a document of this content once it is read, and its text."""
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as client:
        store = await client.vector_stores.create(name="Pictures")
        file = await client.files.create(file=(name, content), purpose="user_data")
        done = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    (document,) = await portal.portal.storage.documents.find(portal.owner, file_id=file.id)
    passages = await portal.portal.storage.passages.of(portal.owner, document.id)
    return done.status, "\n".join(one.text for one in passages)


async def test_a_picture_is_found_by_what_it_shows(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=[seeing(), ModelInfo(id="blind", backend="")])
    backend.answer("<think>Hm.</think>A ripe pear on a table.")
    async with open_test_portal(tmp_path, backends=[backend]) as portal:
        status, text = await added(portal)
    assert (status, text) == ("completed", "A ripe pear on a table.")
    (request,) = backend.requests
    assert request.model == "eyes"
    told, shown = request.messages[0]["content"]
    assert "Describe this picture" in told["text"]
    assert shown["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(DOT).decode()


@pytest.mark.parametrize(
    ("models", "settings"),
    [
        ([ModelInfo(id="blind", backend="")], {}),
        ([seeing(paid=True)], {}),
        ([seeing()], {"knowledge": {"describe_pictures": False}}),
    ],
)
async def test_nobody_is_asked_where_none_may_be(
    tmp_path: Path, models: list[ModelInfo], settings: dict[str, object]
) -> None:
    backend = ScriptedBackend(models=models)
    async with open_test_portal(tmp_path, backends=[backend], settings=settings) as portal:
        await added(portal)
    assert backend.requests == []


async def test_what_fails_or_is_too_large_has_nothing_to_say(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=[seeing(id="large", parameters=9), seeing(parameters=2)])
    picture = tmp_path / "pear.png"
    picture.write_bytes(DOT)
    async with open_test_portal(tmp_path / "data", backends=[backend]) as portal:
        completions = Completions(usage=portal.portal.storage.usage)
        describer = PictureDescriber(models=portal.portal.router, completions=completions, owner=portal.owner)
        assert await describer.describe(picture, "image/png") == ""
        assert [request.model for request in backend.requests] == ["eyes"]
        assert await describer.describe(picture, "image/heic") == ""
        with picture.open("ab") as file:
            file.truncate(11 * 2**20)
        assert await describer.describe(picture, "image/png") == ""
        assert len(backend.requests) == 1
