"""`/v1/rerank` as Jina, Cohere and llama.cpp have it: which documents answer a query best."""

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.ask import Ask
from portal.core.attempts import attempted
from portal.core.items import JsonObject
from portal.core.model import Relevances, TokenUsage
from portal.core.passages import Reranker
from portal.core.ports import Models, Reranking, UsageLog
from portal.core.tokens import estimate
from portal.errors import ModelNotFound, NoModel
from portal.interfaces.account import Account, Accounts
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.schema import CreateRerank
from portal.interfaces.openai.validation import check, check_length, empty_text, parse_json, wrong_type
from portal.interfaces.wire import ClientGone, json_response, while_there

_MOST = 1000


class _Door:
    """The endpoint. What no reranker serves, whatever else serves documents ranks, as the answer's model says."""

    def __init__(self, *, models: Models, accounts: Accounts, otherwise: Callable[[], Reranker | None]) -> None:
        self._models = models
        self._accounts = accounts
        self._otherwise = otherwise

    async def create(self, request: Request) -> Response:
        """The documents with their scores, best first."""
        body = check(CreateRerank, parse_json(await request.body()))
        documents = _documents(body.documents)
        if not body.query:
            raise empty_text("query")
        try:
            if self._can(body.model):
                name, made, headers = await self._asked(request, body, documents)
            else:
                name, made = await while_there(request.receive, self._compared(body.query, documents))
                headers = {}
        except ClientGone:
            return Response(status_code=499)
        return json_response(_answer(body, name, documents, made), headers=headers)

    def _can(self, model: str) -> bool:
        """Whether a server has a reranker of this name; `auto` is any."""
        if model == "auto":
            return any("rerank" in info.capabilities for info in self._models.list())
        try:
            backend, info = self._models.find(model)
        except ModelNotFound:
            return False
        return "rerank" in info.capabilities and isinstance(backend, Reranking)

    async def _asked(
        self, request: Request, body: CreateRerank, documents: Sequence[str]
    ) -> tuple[str, Relevances, dict[str, str]]:
        ask = Ask(model=body.model, needs=frozenset({"rerank"}))
        account = await self._accounts.open(owner=request.state.caller.owner, door="rerank", ask=ask)
        with account.settled():
            rerank = attempted(
                account.route.of_one_model(),
                lambda _: _rerank(account, body.query, documents),
                rerouted=account.reroute,
            )
            made = await while_there(request.receive, rerank)
            account.usage = TokenUsage(made.input_tokens, 0, estimated=made.estimated)
            account.status = "completed"
        return account.model.id, made, {name.decode(): value.decode("latin-1") for name, value in account.headers}

    async def _compared(self, query: str, documents: Sequence[str]) -> tuple[str, Relevances]:
        other = self._otherwise()
        if other is None:
            raise NoModel("No reranker is installed, nor anything else that can compare texts: see the manual.")
        tokens = estimate(query) + sum(map(estimate, documents))
        return other.name, Relevances(await other.judge(query, documents), tokens, estimated=True)


async def _rerank(account: Account, query: str, documents: Sequence[str]) -> Relevances:
    backend = account.backend
    assert isinstance(backend, Reranking)
    return await backend.rerank(account.model.id, query, documents)


def _documents(sent: Sequence[object]) -> list[str]:
    """The texts, also of documents that are objects with one.

    Raises:
        BadRequest: there are none, too many, or one is no text.
    """
    check_length("documents", sent, _MOST)
    texts = [one.get("text") if isinstance(one, dict) else one for one in sent]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong_type(f"documents[{index}]", "one of a string or an object with a text", sent[index])
    return [str(text) for text in texts]


def _answer(body: CreateRerank, name: str, documents: Sequence[str], made: Relevances) -> JsonObject:
    order = sorted(range(len(documents)), key=lambda index: -made.scores[index])[: body.top_n]
    results: list[JsonObject] = [{"index": index, "relevance_score": made.scores[index]} for index in order]
    if body.return_documents is not False:
        results = [{**one, "document": {"text": documents[one["index"]]}} for one in results]
    usage: JsonObject = {"prompt_tokens": made.input_tokens, "total_tokens": made.input_tokens}
    if made.estimated:
        usage["portal:estimated"] = True
    return {"object": "list", "model": name, "results": results, "usage": usage}


def rerank_routes(*, models: Models, usage: UsageLog, otherwise: Callable[[], Reranker | None]) -> Sequence[BaseRoute]:
    """The route. `otherwise` is what ranks where no reranker of the name is served."""
    door = _Door(models=models, accounts=Accounts(models=models, usage=usage), otherwise=otherwise)
    router = LateRouter(tags=["rerank"])
    router.add_api_route("/v1/rerank", door.create, methods=["POST"], name="create_rerank")
    return router.routes
