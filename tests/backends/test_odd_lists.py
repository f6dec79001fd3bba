"""Lists of models that no server should send, over real sockets: nothing of them may end Portal."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from portal.backends import ollama, openai_compatible
from portal.backends.ollama import Ollama
from portal.backends.ollama_models import model_info as ollama_info
from portal.backends.ollama_models import running, shown
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.openai_models import entries, with_props
from portal.backends.openai_models import model_info as openai_info
from portal.core.model import ModelInfo
from portal.errors import BackendProtocolError
from portal.testing.model_server import ModelServer

DEEP: Any = json.loads("[" * 400 + "]" * 400)
GOOD_OPENAI = {"id": "good", "object": "model"}
GOOD_OLLAMA = {"name": "good"}


class Says(ModelServer):
    """Answers each path with the JSON given for it, everything else with 404."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__()
        self.answers = answers

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        return [web.route("*", "/{path:.*}", self._say)]

    async def _say(self, request: web.Request) -> web.Response:
        if request.path not in self.answers:
            return web.Response(status=404)
        return web.Response(text=json.dumps(self.answers[request.path]), content_type="application/json")

    def error_frame(self, message: str) -> bytes:
        return message.encode()

    def refusal(self, status: int, message: str, **_: str | None) -> web.Response:
        return web.Response(status=status, text=message)


@pytest.fixture
async def server() -> AsyncIterator[Says]:
    async with Says({}) as made:
        yield made


async def listed(backend: Ollama | OpenAICompatible) -> Sequence[ModelInfo]:
    try:
        return await backend.models()
    finally:
        await backend.aclose()


async def from_openai(server: Says, **answers: Any) -> Sequence[ModelInfo]:
    server.answers = {"/v1/models": answers["models"], "/props": answers.get("props", [])}
    server.answers["/api/v0/models"] = answers.get("beside", [])
    return await listed(OpenAICompatible(openai_compatible.Config(url=server.url)))


async def from_ollama(server: Says, **answers: Any) -> Sequence[ModelInfo]:
    server.answers = {"/api/tags": answers["models"], "/api/show": answers.get("show", {})}
    server.answers["/api/ps"] = answers.get("ps", {})
    return await listed(Ollama(ollama.Config(url=server.url)))


@pytest.mark.parametrize("answer", [7, "x", None, True, [], {}, DEEP, {"data": 1}, {"data": {}}, {"data": None}])
async def test_no_list_of_openais(server: Says, answer: Any) -> None:
    with pytest.raises(BackendProtocolError, match="not its protocol"):
        await from_openai(server, models=answer)


@pytest.mark.parametrize("answer", [7, "x", None, True, [], DEEP, {"models": 1}, {"models": {}}, {"models": "good"}])
async def test_no_list_of_ollamas(server: Says, answer: Any) -> None:
    with pytest.raises(BackendProtocolError, match="not its protocol"):
        await from_ollama(server, models=answer)


@pytest.mark.parametrize("name", [None, 1, "", " ", ["a"], {"a": 1}, True, "a\x00b", "line\nbreak", "x" * 5000])
async def test_a_name_that_is_none_is_left_out(server: Says, name: Any) -> None:
    found = await from_openai(server, models={"data": [{"id": name}, GOOD_OPENAI, 3]})
    assert [info.id for info in found] == ["good"]
    found = await from_ollama(server, models={"models": [{"name": name}, GOOD_OLLAMA, 3]})
    assert [info.id for info in found] == ["good"]
    with pytest.raises(BackendProtocolError):
        await from_openai(server, models={"data": [{"id": name}]})
    with pytest.raises(BackendProtocolError):
        await from_ollama(server, models={"models": [{"name": name}]})


@pytest.mark.parametrize(
    "answers",
    [
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": ["a"]}]}},
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": {"a": 1}}]}},
        {"models": {"data": [GOOD_OPENAI], "models": [{"model": ["a"]}]}},
        {"models": {"data": [GOOD_OPENAI], "models": 7}},
        {"models": {"data": [GOOD_OPENAI], "models": {"model": "good"}}},
        {"models": {"data": [{**GOOD_OPENAI, "type": ["llm"], "state": {}, "meta": [1], "capabilities": 3}]}},
        {"models": {"data": [{**GOOD_OPENAI, "capabilities": [["tools"], {"a": 1}, None]}]}},
        {"models": {"data": [{**GOOD_OPENAI, "max_model_len": 1e300, "created": 1e300, "meta": {"n_ctx": "x"}}]}},
        {"models": {"data": [{**GOOD_OPENAI, "arch": 1, "quantization": {}, "description": [1]}]}},
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": "organization_owner"}]}, "beside": {"data": [{"id": [1]}]}},
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": "organization_owner"}]}, "beside": DEEP},
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": "llamacpp"}]}, "props": DEEP},
        {"models": {"data": [{**GOOD_OPENAI, "owned_by": "llamacpp"}]}, "props": {"modalities": ["vision"]}},
        {
            "models": {"data": [{**GOOD_OPENAI, "owned_by": "llamacpp"}]},
            "props": {"default_generation_settings": {"n_ctx": [1]}, "chat_template": 1, "chat_template_caps": "x"},
        },
    ],
)
async def test_what_openais_tell_in_another_way_is_not_told(server: Says, answers: dict[str, Any]) -> None:
    (info,) = await from_openai(server, **answers)
    able = frozenset({"chat", "completion"})
    assert info == ModelInfo(id="good", backend="openai_compatible", capabilities=able, told=False)


@pytest.mark.parametrize(
    "answers",
    [
        {"models": {"models": [{**GOOD_OLLAMA, "details": ["llama"]}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "details": "llama"}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "details": {"families": 3, "family": ["x"], "parameter_size": [1]}}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "details": {"families": [["bert"], None]}}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "details": {"parameter_size": "9" * 400 + "B"}}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "size": 1e300, "digest": ["a"], "modified_at": ["now"]}]}},
        {"models": {"models": [{**GOOD_OLLAMA, "size": True, "modified_at": "0001-01-01T00:00:00"}]}},
        {"models": {"models": [GOOD_OLLAMA]}, "show": {"model_info": ["x"]}},
        {"models": {"models": [GOOD_OLLAMA]}, "show": {"model_info": {"general.architecture": ["x"]}}},
        {"models": {"models": [GOOD_OLLAMA]}, "show": {"capabilities": [["tools"], {"a": 1}, 1]}},
        {"models": {"models": [GOOD_OLLAMA]}, "show": {"parameters": "num_ctx " + "9" * 5000}},
        {"models": {"models": [GOOD_OLLAMA]}, "show": DEEP},
        {"models": {"models": [GOOD_OLLAMA]}, "ps": {"models": 7}},
        {"models": {"models": [GOOD_OLLAMA]}, "ps": {"models": [{"name": ["good"]}, 1, {"context_length": "x"}]}},
    ],
)
async def test_what_ollamas_tell_in_another_way_is_not_told(server: Says, answers: dict[str, Any]) -> None:
    (info,) = await from_ollama(server, **answers)
    able = frozenset({"chat", "completion"})
    given = ollama.Config(url=server.url).context_fallback
    assert info == ModelInfo(
        id="good", backend="ollama", capabilities=able, loaded=info.loaded, told=False, given=given
    )
    assert not info.loaded


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
KEYS = st.sampled_from(
    [
        "id",
        "name",
        "model",
        "models",
        "data",
        "owned_by",
        "type",
        "capabilities",
        "meta",
        "n_ctx",
        "details",
        "families",
        "family",
        "size",
        "digest",
        "parameters",
        "model_info",
        "general.architecture",
        "modalities",
        "context_length",
        "created",
        "modified_at",
        "parameter_size",
        "state",
    ]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)


def survives(read: Callable[[], Any]) -> None:
    """Whatever was read can be told to a client again."""
    json.dumps(read(), default=str)


@given(entry=st.dictionaries(KEYS, JSON, max_size=8), other=JSON)
def test_any_json_at_all(entry: dict[str, Any], other: Any) -> None:
    for listing in entries({"data": [entry, other], "models": other}) or ():
        survives(lambda listing=listing: openai_info(with_props(listing, other), backend="b"))  # type: ignore[misc]
    survives(lambda: entries(other))
    info = ollama_info({**entry, "name": "m"}, backend="b", more=shown({**entry, "model_info": other}), loaded=None)
    assert info.id == "m"
    assert all(isinstance(name, str) for name in running({**entry, "models": other}))
    sizes = (info.context_window, info.parameters, info.size, info.created)
    assert all(size is None or 0 <= size <= 2**53 for size in sizes)
