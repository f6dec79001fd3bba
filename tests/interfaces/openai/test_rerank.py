"""`/v1/rerank`: by a model server's reranker, else by likeness; and in searches."""

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from tests.interfaces.openai.conftest import error_of, usage_rows
from tests.knowledge.bag import BagEmbedder

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.knowledge.rerankers import reranker_named
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTS = ["a long story", "the door code is here", "the code"]
RERANKER = "bge-reranker-v2-m3"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", embedder=BagEmbedder()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def server(portal):
    async with OpenAIServer(models=[RERANKER, "chatty"]) as there:
        portal.portal.models.add(OpenAICompatible(Config(url=there.url, name="reranking")))
        await portal.portal.models.refresh()
        yield there
        await portal.portal.models.remove("reranking")


async def rerank(api, **more):
    body = {"model": RERANKER, "query": "the door code", "documents": DOCUMENTS}
    return await api.post("/v1/rerank", {**body, **more})


def order(answer):
    return [one["index"] for one in answer.json()["results"]]


async def test_a_reranker_ranks(api, server, portal):
    answer = await rerank(api)
    made = answer.json()

    assert order(answer) == [1, 2, 0]
    assert made["results"][0] == {"index": 1, "relevance_score": 1.0, "document": {"text": DOCUMENTS[1]}}
    assert (made["model"], answer.headers["x-portal-model"]) == (RERANKER, RERANKER)
    assert made["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    (row,) = await usage_rows(portal)
    assert (row["door"], row["model"], row["input_tokens"], row["status"]) == ("rerank", RERANKER, 7, "completed")


async def test_auto_is_a_reranker_where_there_is_one(api, server):
    assert (await rerank(api, model="auto")).json()["model"] == RERANKER


@pytest.mark.parametrize("model", ["auto", "rerank-v3.5", "chatty"])
async def test_else_likeness_ranks_and_says_so(api, portal, model):
    answer = await rerank(api, model=model)
    made = answer.json()

    assert (order(answer), made["model"]) == ([2, 1, 0], "bag")
    assert all(0 <= one["relevance_score"] <= 1 for one in made["results"])
    assert made["usage"]["portal:estimated"] is True


async def test_only_so_many_and_without_their_text(api, server):
    answer = await rerank(api, top_n=2, return_documents=False, documents=[{"text": one} for one in DOCUMENTS])

    assert answer.json()["results"][1].keys() == {"index", "relevance_score"}
    assert order(answer) == [1, 2]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "x"}, "documents"),
        ({"documents": ["x", 5]}, "documents[1]"),
        ({"documents": [{"title": "x"}]}, "documents[0]"),
        ({"documents": ["x"] * 1001}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"model": ""}, "model"),
    ],
)
async def test_what_is_wrong_is_named(api, more, param):
    assert error_of(await rerank(api, **more), 400)["param"] == param


class Odd(OpenAIServer):
    """Has no scores."""

    async def _rerank(self, request):
        return web.json_response({"results": []})


async def test_a_server_that_fails(api, portal):
    async with Odd(models=[RERANKER]) as there:
        portal.portal.models.add(OpenAICompatible(Config(url=there.url, name="reranking")))
        await portal.portal.models.refresh()

        assert "one score for each document" in error_of(await rerank(api), 502)["message"]
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]
        await portal.portal.models.remove("reranking")


async def test_without_an_embedder_nothing_can_rank(tmp_path):
    body = {"model": "auto", "query": "x", "documents": ["x"]}
    async with open_test_portal(tmp_path / "data") as bare, httpx.AsyncClient(base_url=bare.url, timeout=20) as client:
        answer = await client.post("/v1/rerank", json=body, headers=bare.headers)

    assert error_of(answer, 503)["code"] == "no_model"


async def test_names_that_are_no_reranker_are_none(portal, server):
    models = portal.portal.models

    assert reranker_named(models, "chatty") is None
    assert reranker_named(models, "unknown") is None
    made = reranker_named(models, RERANKER)
    assert made is not None
    assert list(await made.judge("the door code", DOCUMENTS)) == [0, 1, 2 / 3]
