"""What the OpenAPI document says of this door: none of its routes is the framework's."""

from collections.abc import Mapping

from pydantic import BaseModel

from portal.core.items import JsonObject
from portal.interfaces.ollama.requests import CreateOllamaChat, CreateOllamaText

_ROUTES: Mapping[tuple[str, str], str] = {
    ("post", "/api/chat"): "Answer a conversation that the client keeps.",
    ("post", "/api/generate"): "Answer or continue a text.",
    ("post", "/api/embed"): "Vectors of texts.",
    ("post", "/api/embeddings"): "The vector of a text.",
    ("get", "/api/tags"): "Every workspace and every model.",
    ("post", "/api/show"): "One model.",
    ("get", "/api/ps"): "The models in memory.",
    ("get", "/api/version"): "The version of the API.",
    ("post", "/api/pull"): "Fetch a model, with progress.",
    ("post", "/api/push"): "Publish a model, with progress.",
    ("delete", "/api/delete"): "Delete a model.",
    ("post", "/api/copy"): "Copy a model.",
    ("post", "/api/create"): "Make a model of another one or of files, with progress.",
    ("head", "/api/blobs/{digest}"): "Whether a model's file is there.",
    ("post", "/api/blobs/{digest}"): "Send a model's file.",
}
_STREAMS = frozenset({"/api/chat", "/api/generate", "/api/pull", "/api/push", "/api/create"})
_BODIES: Mapping[str, type[BaseModel]] = {"/api/chat": CreateOllamaChat, "/api/generate": CreateOllamaText}
_ERROR: JsonObject = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def described(document: JsonObject) -> JsonObject:
    """The same document, completed in place."""
    schemas = document["components"]["schemas"]
    schemas["OllamaError"] = _ERROR
    for (method, path), summary in _ROUTES.items():
        document["paths"].setdefault(path, {})[method] = _operation(path, summary)
    for path, model in _BODIES.items():
        made = model.model_json_schema(ref_template="#/components/schemas/Ollama{model}")
        schemas.update({f"Ollama{name}": schema for name, schema in made.pop("$defs", {}).items()})
        content = {"application/json": {"schema": made}}
        document["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
    return document


def _operation(path: str, summary: str) -> JsonObject:
    content: JsonObject = {"application/json": {"schema": {}}}
    if path in _STREAMS:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    failure = {"application/json": {"schema": {"$ref": "#/components/schemas/OllamaError"}}}
    return {
        "tags": ["ollama"],
        "summary": summary,
        "parameters": [{"name": "digest", "in": "path", "required": True, "schema": {"type": "string"}}]
        if "{digest}" in path
        else [],
        "responses": {
            "200": {"description": "The answer.", "content": content},
            "default": {"description": "A failure, in Ollama's form.", "content": failure},
        },
    }
