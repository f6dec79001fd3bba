"""`/v1/models` as clients of Anthropic's see it."""

import pytest
from anthropic.types import ModelInfo
from tests.interfaces.anthropic.conftest import error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ids(plain, **query):
    answer = await plain.get("/v1/models", params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page.keys() == {"data", "has_more", "first_id", "last_id"}
    for row in page["data"]:
        ModelInfo.model_validate(row)
    names = [row["id"] for row in page["data"]]
    assert (page["first_id"], page["last_id"]) == ((names[0], names[-1]) if names else (None, None))
    return names, page["has_more"]


async def test_the_list(plain):
    names, more = await ids(plain)
    assert names[0] == "auto"
    assert {"auto-coding", "tiny", "vendor/thinker:7b", "portal-guide"} <= set(names)
    assert not more


async def test_pages(plain):
    names, _ = await ids(plain)
    assert await ids(plain, limit=2) == (names[:2], True)
    assert await ids(plain, limit=2, after_id=names[1]) == (names[2:4], True)
    assert await ids(plain, limit=1000, after_id=names[-2]) == (names[-1:], False)
    assert await ids(plain, after_id=names[-1]) == ([], False)
    assert await ids(plain, limit=2, before_id=names[3]) == (names[1:3], True)
    assert await ids(plain, limit=9, before_id=names[3]) == (names[:3], False)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"limit": "²"}, {"after_id": "tinny"}]
)
async def test_bad_pages(plain, query):
    assert error_of(await plain.get("/v1/models", params=query), 400)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tiny", "tiny"),
        ("vendor/thinker:7b", "vendor/thinker:7b"),
        ("auto-coding", "auto-coding"),
        ("claude-haiku", "tiny"),
        ("claude-sonnet-4-5", "auto-coding"),
        ("scripted/tiny", "scripted/tiny"),
    ],
)
async def test_one(plain, name, found):
    made = (await plain.get(f"/v1/models/{name}")).json()
    ModelInfo.model_validate(made)
    assert made["id"] == found
    if found == "tiny":
        assert (made["created_at"], made["max_input_tokens"]) == ("2023-11-14T22:13:20Z", 4096)


async def test_one_that_is_not_there(plain):
    error = error_of(await plain.get("/v1/models/tinny"), 404)
    assert error["type"] == "not_found_error"
    assert "'tiny'" in error["message"]


async def test_other_clients_see_openais_list(plain):
    del plain.headers["anthropic-version"]
    assert (await plain.get("/v1/models")).json()["object"] == "list"
    assert (await plain.get("/v1/models/tiny")).json()["object"] == "model"
    assert "param" in (await plain.get("/v1/models/tinny")).json()["error"]
