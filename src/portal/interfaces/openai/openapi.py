"""What the OpenAPI document says of these doors beyond what the framework can see: bodies that are read by hand,
queries, and the routes on plain ASGI."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from portal.core.items import JsonObject
from portal.interfaces.anthropic.schema import CountTokens, CreateMessage
from portal.interfaces.openai.image_request import CreateImage
from portal.interfaces.openai.knowledge_schema import (
    AddBatch,
    AddFile,
    CreateVectorStore,
    DescribeFile,
    SearchVectorStore,
    UpdateVectorStore,
)
from portal.interfaces.openai.schema import (
    CompactResponse,
    CreateChat,
    CreateCompletion,
    CreateConversation,
    CreateEmbeddings,
    CreateItems,
    CreateRerank,
    CreateResponse,
    CreateSpeech,
    UpdateConversation,
)

_Place = tuple[str, str]
_STORE = "/v1/vector_stores/{vector_store_id}"

_BODIES: Mapping[_Place, type[BaseModel]] = {
    ("post", "/v1/responses"): CreateResponse,
    ("post", "/v1/responses/compact"): CompactResponse,
    ("post", "/v1/conversations"): CreateConversation,
    ("post", "/v1/conversations/{conversation_id}"): UpdateConversation,
    ("post", "/v1/conversations/{conversation_id}/items"): CreateItems,
    ("post", "/v1/chat/completions"): CreateChat,
    ("post", "/v1/completions"): CreateCompletion,
    ("post", "/v1/embeddings"): CreateEmbeddings,
    ("post", "/v1/rerank"): CreateRerank,
    ("post", "/v1/audio/speech"): CreateSpeech,
    ("post", "/v1/images/generations"): CreateImage,
    ("post", "/v1/vector_stores"): CreateVectorStore,
    ("post", _STORE): UpdateVectorStore,
    ("post", f"{_STORE}/search"): SearchVectorStore,
    ("post", f"{_STORE}/files"): AddFile,
    ("post", f"{_STORE}/files/{{file_id}}"): DescribeFile,
    ("post", f"{_STORE}/file_batches"): AddBatch,
    ("post", "/v1/messages"): CreateMessage,
    ("post", "/v1/messages/count_tokens"): CountTokens,
}
_PAGE = ("limit", "after", "order")
_QUERIES: Mapping[_Place, Sequence[str]] = {
    ("post", "/v1/responses"): ("portal_events",),
    ("get", "/v1/responses/{response_id}"): ("stream", "starting_after", "portal_events"),
    ("get", "/v1/responses/{response_id}/input_items"): _PAGE,
    ("get", "/v1/conversations/{conversation_id}/items"): _PAGE,
    ("get", "/v1/files"): (*_PAGE, "purpose"),
    ("get", "/v1/vector_stores"): (*_PAGE, "before"),
    ("get", "/v1/audio/voices"): ("model",),
    ("post", "/v1/audio/transcriptions"): ("portal_events",),
    ("post", "/v1/audio/translations"): ("portal_events",),
    ("get", f"{_STORE}/files"): (*_PAGE, "before", "filter"),
    ("get", f"{_STORE}/files/{{file_id}}/content"): ("page",),
    ("get", f"{_STORE}/file_batches/{{batch_id}}/files"): (*_PAGE, "before", "filter"),
}
_PARAMETERS: Mapping[str, tuple[JsonObject, str]] = {
    "limit": ({"type": "integer", "minimum": 1}, "How many at most."),
    "after": ({"type": "string"}, "The id after which the page begins."),
    "order": ({"enum": ["asc", "desc"]}, "Oldest or newest first; newest by default."),
    "before": ({"type": "string"}, "The id before which the page ends."),
    "filter": ({"enum": ["in_progress", "completed", "failed", "cancelled"]}, "Only files that are so far."),
    "page": ({"type": "string"}, "The `next_page` of the page before."),
    "model": ({"type": "string"}, "Only those of this model."),
    "purpose": ({"type": "string"}, "Only files of this purpose."),
    "stream": ({"type": "boolean"}, "The response's events instead of the response."),
    "starting_after": ({"type": "integer"}, "Only events with a higher sequence number."),
    "portal_events": ({"enum": ["1"]}, "Portal's own events, too."),
}
_STREAMS = frozenset(
    {
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/responses",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
    }
)
_BY_HAND: Mapping[str, tuple[str, str]] = {
    "/v1/chat/completions": ("chat", "Answer a conversation that the client keeps."),
    "/v1/completions": ("completions", "Continue a text."),
    "/v1/messages": ("messages", "Answer a conversation that the client keeps, in Anthropic's form."),
    "/v1/messages/count_tokens": ("messages", "Estimate the tokens of such a request, without an answer."),
}
_FORM: JsonObject = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string"},
        "expires_after[anchor]": {"enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
    },
}
_TRANSLATION: JsonObject = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string"},
        "prompt": {"type": "string"},
        "response_format": {"enum": ["json", "text", "srt", "verbose_json", "vtt"]},
        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
        "stream": {"type": "boolean"},
    },
}
_TRANSCRIPTION: JsonObject = {
    **_TRANSLATION,
    "properties": {
        **_TRANSLATION["properties"],
        "language": {"type": "string"},
        "response_format": {"enum": ["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]},
        "timestamp_granularities[]": {"type": "array", "items": {"enum": ["word", "segment"]}},
        "known_speaker_names[]": {"type": "array", "maxItems": 4, "items": {"type": "string"}},
        "known_speaker_references[]": {"type": "array", "maxItems": 4, "items": {"type": "string"}},
    },
}
_FILE: JsonObject = {"type": "string", "format": "binary"}
_PICTURE: JsonObject = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": _FILE, "n": {"type": "integer"}, "size": {"type": "string"}, "model": {"type": "string"}},
}
_EDIT: JsonObject = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        **_PICTURE["properties"],
        "image[]": {"type": "array", "maxItems": 16, "items": _FILE},
        "mask": _FILE,
        "prompt": {"type": "string"},
    },
}
_FORMS: Mapping[str, JsonObject] = {
    "/v1/files": _FORM,
    "/v1/audio/transcriptions": _TRANSCRIPTION,
    "/v1/audio/translations": _TRANSLATION,
    "/v1/images/edits": _EDIT,
    "/v1/images/variations": _PICTURE,
}
_ERROR: JsonObject = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_ANTHROPIC_ERROR: JsonObject = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}


def described(document: JsonObject) -> JsonObject:
    """The same document, completed in place."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"OpenAIError": _ERROR, "AnthropicError": _ANTHROPIC_ERROR}
    for path, (tag, summary) in _BY_HAND.items():
        operation = {"tags": [tag], "summary": summary, "responses": {"200": {"description": "The answer."}}}
        document["paths"][path] = {"post": operation}
    for (method, path), model in _BODIES.items():
        _body(document["paths"][path][method], "application/json", _schema(model, schemas))
    for path, form in _FORMS.items():
        _body(document["paths"][path]["post"], "multipart/form-data", form)
    for (method, path), names in _QUERIES.items():
        document["paths"][path][method].setdefault("parameters", []).extend(_parameter(name) for name in names)
    for path, operations in document["paths"].items():
        if path.startswith("/v1/"):
            _answers(path, operations)
    return document


def _schema(model: type[BaseModel], schemas: JsonObject) -> JsonObject:
    made = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(made.pop("$defs", {}))
    schemas[model.__name__] = made
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _body(operation: JsonObject, kind: str, schema: JsonObject) -> None:
    operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}


def _parameter(name: str) -> JsonObject:
    schema, description = _PARAMETERS[name]
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _answers(path: str, operations: JsonObject) -> None:
    api = "Anthropic" if path.startswith("/v1/messages") else "OpenAI"
    for operation in operations.values():
        operation["responses"].pop("422", None)
        operation["responses"]["default"] = {
            "description": f"A failure, in {api}'s form.",
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{api}Error"}}},
        }
        if path in _STREAMS:
            content = operation["responses"]["200"].setdefault("content", {"application/json": {"schema": {}}})
            content["text/event-stream"] = {"schema": {"type": "string"}}
