"""Request bodies of vector stores, their files and batches, with the limits OpenAI sets."""

from typing import Annotated, Any, Literal

from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import BadRequest
from portal.interfaces.openai.schema import Metadata
from portal.interfaces.openai.validation import Checked, check, one_of, wrong_type

MOST_FILES = 2000
_MOST_ATTRIBUTES, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512
_MOST_QUERIES = 16
FileId = Annotated[str, Field(min_length=1, max_length=200)]
FileIds = Annotated[list[FileId], Field(max_length=MOST_FILES)]


class _ExpiresAfter(Checked):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class _Static(Checked):
    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0)]


class CreateVectorStore(Checked):
    """The body of `POST /v1/vector_stores`."""

    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    metadata: Metadata | None = None
    expires_after: _ExpiresAfter | None = None
    file_ids: FileIds | None = None
    chunking_strategy: dict[str, Any] | None = None


class UpdateVectorStore(Checked):
    """The body of `POST /v1/vector_stores/{vector_store_id}`; what is left out stays."""

    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    metadata: Metadata | None = None
    expires_after: _ExpiresAfter | None = None


class _RankingOptions(Checked):
    ranker: str | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class SearchVectorStore(Checked):
    """The body of `POST /v1/vector_stores/{vector_store_id}/search`."""

    query: Any
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    ranking_options: _RankingOptions | None = None
    rewrite_query: bool | None = None


class AddFile(Checked):
    """The body of `POST /v1/vector_stores/{vector_store_id}/files`, and each of a batch."""

    file_id: FileId
    attributes: dict[str, Any] | None = None
    chunking_strategy: dict[str, Any] | None = None


class DescribeFile(Checked):
    """The body of `POST /v1/vector_stores/{vector_store_id}/files/{file_id}`."""

    attributes: dict[str, Any] | None


class AddBatch(Checked):
    """The body of `POST /v1/vector_stores/{vector_store_id}/file_batches`: either `file_ids` or `files`."""

    file_ids: FileIds | None = None
    files: Annotated[list[AddFile], Field(max_length=MOST_FILES)] | None = None
    attributes: dict[str, Any] | None = None
    chunking_strategy: dict[str, Any] | None = None


def attributes_of(raw: JsonObject | None, param: str = "attributes") -> JsonObject:
    """Attributes of a document. Raises BadRequest."""
    found = raw or {}
    if len(found) > _MOST_ATTRIBUTES:
        raise BadRequest(
            f"Invalid '{param}': too many properties. Expected an object with at most {_MOST_ATTRIBUTES} properties, "
            f"but got an object with {len(found)} properties instead.",
            param=param,
            code="object_above_max_properties",
        )
    for key, value in found.items():
        where = f"{param}.{key}"
        if len(key) > _LONGEST_KEY or (isinstance(value, str) and len(value) > _LONGEST_VALUE):
            message = f"Invalid '{where}': a key has at most {_LONGEST_KEY} characters, a text {_LONGEST_VALUE}."
            raise BadRequest(message, param=where, code="string_above_max_length")
        if not isinstance(value, str | int | float):  # a boolean is an integer
            raise wrong_type(where, "a string, a number or a boolean", value)
    return found


def chunking_of(raw: JsonObject | None, param: str = "chunking_strategy") -> JsonObject:
    """OpenAI's static strategy; {} for automatic. Raises BadRequest."""
    if raw is None or raw.get("type") == "auto":
        return {}
    if raw.get("type") != "static":
        raise one_of(("auto", "static"), raw.get("type"), f"{param}.type")
    static = check(_Static, raw.get("static"), f"{param}.static")
    if static.chunk_overlap_tokens * 2 > static.max_chunk_size_tokens:
        place = f"{param}.static.chunk_overlap_tokens"
        raise BadRequest(f"Invalid '{place}': more than half of the chunk.", param=place, code="invalid_value")
    return {
        "max_chunk_size_tokens": static.max_chunk_size_tokens,
        "chunk_overlap_tokens": static.chunk_overlap_tokens,
    }


def queries_of(raw: object) -> list[str]:
    """One or several questions. Raises BadRequest."""
    found = [raw] if isinstance(raw, str) else raw
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise wrong_type("query", "a string or an array of strings", raw)
    if len(found) > _MOST_QUERIES:
        message = f"Invalid 'query': at most {_MOST_QUERIES} questions are asked at once."
        raise BadRequest(message, param="query", code="array_above_max_length")
    return found
