"""What the stand-in of Ollama does to its models: pull, push, delete, copy, create, and the files for that."""

import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from portal.testing.model_server import BODY, Answer, ModelServer
from portal.testing.ollama_rules import Refused

_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
_FLAGS = ("stream", "insecure")


def line(part: dict[str, Any]) -> bytes:
    """One object as Ollama streams it."""
    return json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def tagged(name: str) -> str:
    """A model's name in full."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


class OllamaManaging(ModelServer):
    """`models` are installed, those of `library` can be pulled, `blobs` were sent, `pushed` lists what was published.

    A scripted Answer takes the place of a call's own frames only in its fault, gate, pace and status.
    """

    models: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.library: dict[str, Any] = {}
        self.blobs: dict[str, bytes] = {}
        self.pushed: list[str] = []

    def managing_routes(self) -> Sequence[web.AbstractRouteDef]:
        """Those of this part."""
        return [
            web.post("/api/pull", self._pull),
            web.post("/api/push", self._push),
            web.delete("/api/delete", self._delete),
            web.post("/api/copy", self._copy),
            web.post("/api/create", self._create),
            web.head("/api/blobs/{digest}", self._has_blob),
            web.post("/api/blobs/{digest}", self._take_blob),
        ]

    @abstractmethod
    def new_model(self, name: str) -> Any:
        """A model that was made of files."""

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        try:
            name = tagged(self._named(request))
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        model = self.library.get(name)
        if model is None:
            parts = [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]
            return await self._progress(request, parts)
        layer = {"status": f"pulling {model.digest[:12]}", "digest": f"sha256:{model.digest}", "total": model.size}
        parts = [
            {"status": "pulling manifest"},
            *({**layer, "completed": model.size * part // 4} for part in range(1, 5)),
            *({"status": status} for status in ("verifying sha256 digest", "writing manifest", "success")),
        ]
        return await self._progress(request, parts, then=lambda: self.models.update({name: model}))

    async def _push(self, request: web.Request) -> web.StreamResponse:
        try:
            name = tagged(self._named(request))
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        model = self.models.get(name)
        if model is None:
            return await self._progress(request, [{"status": "retrieving manifest"}, {"error": "file does not exist"}])
        layer = {"status": "starting upload", "digest": f"sha256:{model.digest}", "total": model.size}
        parts = [{"status": "retrieving manifest"}, layer, {"status": "pushing manifest"}, {"status": "success"}]
        return await self._progress(request, parts, then=lambda: self.pushed.append(name))

    async def _delete(self, request: web.Request) -> web.Response:
        try:
            name = self._named(request)
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        if self.models.pop(tagged(name), None) is None:
            return self.refusal(404, f"model '{name}' not found")
        return web.Response()

    async def _copy(self, request: web.Request) -> web.Response:
        body = request[BODY]
        if not isinstance(body, dict):
            return self.refusal(400, "missing request body")
        for field in ("source", "destination"):
            if not isinstance(body.get(field), str) or not body[field]:
                return self.refusal(400, f'{field} "{body.get(field, "")}" is invalid')
        model = self.models.get(tagged(body["source"]))
        if model is None:
            return self.refusal(404, f'model "{body["source"]}" not found')
        name = tagged(body["destination"])
        self.models[name] = replace(model, name=name)
        return web.Response()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = request[BODY]
        try:
            name = tagged(self._named(request))
            made = self._made(name, body)
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        layers = [{"status": f"using existing layer {digest}"} for digest in (body.get("files") or {}).values()]
        parts = [{"status": "reading model metadata"}, *layers, {"status": "writing manifest"}, {"status": "success"}]
        return await self._progress(request, parts, then=lambda: self.models.update({name: made}))

    def _made(self, name: str, body: dict[str, Any]) -> Any:
        if body.get("from"):
            base = self.models.get(tagged(body["from"]))
            if base is None:
                raise Refused(f"model '{body['from']}' not found", 404)
            return replace(base, name=name)
        files = body.get("files")
        if not files or not isinstance(files, dict):
            raise Refused("neither 'from' or 'files' was specified")
        for digest in files.values():
            if digest not in self.blobs:
                raise Refused(f"blob {digest} does not exist", 500)
        return self.new_model(name)

    def _named(self, request: web.Request) -> str:
        body = request[BODY]
        if body is None:
            raise Refused("missing request body")
        if not isinstance(body, dict):
            raise Refused("json: cannot unmarshal array into Go value")
        for flag in _FLAGS:
            if not isinstance(body.get(flag, False), bool | None):
                raise Refused(f"json: cannot unmarshal into Go struct field {flag} of type bool")
        name = body.get("model") or body.get("name")
        if not isinstance(name, str) or not name:
            raise Refused("invalid model name")
        return name

    async def _progress(
        self, request: web.Request, parts: Sequence[dict[str, Any]], *, then: Any = None
    ) -> web.StreamResponse:
        """The parts one a line, or the last one whole; `then` happens before the end is seen."""
        answer = self.next_answer("") if self.scripted else Answer()
        if answer.status >= 400:
            return self.failing(answer)
        if request[BODY].get("stream") is False:
            if "error" in parts[-1]:
                return self.refusal(500, parts[-1]["error"])
            if then is not None:
                then()
            return web.json_response(parts[-1])
        response = await self.play(request, answer, [line(part) for part in parts])
        if then is not None and answer.fault is None:
            then()
        return response

    async def _has_blob(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["digest"] in self.blobs else 404)

    async def _take_blob(self, request: web.Request) -> web.Response:
        wanted, content = request.match_info["digest"], await request.read()
        if not _DIGEST.fullmatch(wanted):
            return self.refusal(400, "invalid digest format")
        if wanted in self.blobs:
            return web.Response()
        got = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if got != wanted.replace("-", ":"):
            return self.refusal(400, f'digest mismatch, expected "{wanted}", got "{got}"')
        self.blobs[wanted] = content
        return web.Response(status=201)
