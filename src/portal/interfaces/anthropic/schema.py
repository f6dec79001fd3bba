"""Request bodies of the Messages API, in one normal form: text for a list of blocks is one text block, and fields that
mean nothing to a local model are left out."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
)

from portal.errors import BadRequest
from portal.interfaces.openai.validation import parse_json

M = TypeVar("M", bound=BaseModel)


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


def _blocks(sent: object) -> object:
    return [{"type": "text", "text": sent}] if isinstance(sent, str) else sent


def _can_be_sent(value: dict[str, Any]) -> dict[str, Any]:
    """What is nested too deeply to be put into a request cannot."""
    try:
        orjson.dumps([[[[[[[[value]]]]]]]])
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from error
    return value


Object: TypeAlias = Annotated[dict[str, Any], AfterValidator(_can_be_sent)]


class Text(_Checked):
    """Text."""

    type: Literal["text"]
    text: str


class Base64Source(_Checked):
    """Data in the request."""

    type: Literal["base64"]
    media_type: str
    data: str


class UrlSource(_Checked):
    """Data elsewhere."""

    type: Literal["url"]
    url: str


class Image(_Checked):
    """A picture."""

    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource, Field(discriminator="type")]


class TextSource(_Checked):
    """A text document."""

    type: Literal["text"]
    data: str


class ContentSource(_Checked):
    """A document in parts."""

    type: Literal["content"]
    content: Annotated[list[Annotated[Text | Image, Field(discriminator="type")]], BeforeValidator(_blocks)]


class Document(_Checked):
    """A document."""

    type: Literal["document"]
    source: Annotated[TextSource | Base64Source | ContentSource, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None


class SearchResult(_Checked):
    """What the client found by itself."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[Text]


class ToolReference(_Checked):
    """The name of a tool that the client's own search found."""

    type: Literal["tool_reference"]
    tool_name: str


Shown: TypeAlias = Text | Image | Document | SearchResult | ToolReference


class ToolResult(_Checked):
    """What a tool of the client's came to."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1)]
    content: Annotated[list[Annotated[Shown, Field(discriminator="type")]], BeforeValidator(_blocks)] | None = None
    is_error: bool | None = None


class Thinking(_Checked):
    """What the model thought."""

    type: Literal["thinking"]
    thinking: str


class ToolUse(_Checked):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    input: Object


class Foreign(_Checked):
    """What Anthropic's own servers did in an earlier turn: nothing that a local model could use."""

    type: str


def _said_by_model(block: object) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if kind in ("text", "thinking", "tool_use") else "other"


UserBlock: TypeAlias = Annotated[
    Text | Image | Document | SearchResult | ToolReference | ToolResult, Field(discriminator="type")
]
AssistantBlock: TypeAlias = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[Thinking, Tag("thinking")]
    | Annotated[ToolUse, Tag("tool_use")]
    | Annotated[Foreign, Tag("other")],
    Discriminator(_said_by_model),
]


class UserMessage(_Checked):
    """What the user says, and what tools came to."""

    role: Literal["user"]
    content: Annotated[list[UserBlock], BeforeValidator(_blocks)]


class AssistantMessage(_Checked):
    """What the model said."""

    role: Literal["assistant"]
    content: Annotated[list[AssistantBlock], BeforeValidator(_blocks)]


class SystemMessage(_Checked):
    """Instructions in the middle of a conversation."""

    role: Literal["system"]
    content: Annotated[list[Text], BeforeValidator(_blocks)]


Message: TypeAlias = Annotated[UserMessage | AssistantMessage | SystemMessage, Field(discriminator="role")]


class Tool(_Checked):
    """A tool of the client's."""

    type: str | None = None
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,128}$")]
    description: str | None = None
    input_schema: Object
    strict: bool | None = None

    @field_validator("type")
    @classmethod
    def _is_the_clients(cls, kind: str | None) -> str | None:
        if kind not in (None, "custom"):
            raise ValueError(f"{kind!r} is a tool of Anthropic's own; send tools with a name and an input_schema")
        return kind


class ToolChoice(_Checked):
    """Which tools the model may or must call."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = Field(None, validate_default=True)
    disable_parallel_tool_use: bool | None = None

    @field_validator("name")
    @classmethod
    def _is_there(cls, name: str | None, info: Any) -> str | None:
        if name is None and info.data.get("type") == "tool":
            raise ValueError("Field required")
        return name


class ThinkingOptions(_Checked):
    """Whether the model may think, how much, and whether the client sees it."""

    type: str
    budget_tokens: Annotated[int, Field(ge=1)] | None = None
    display: str | None = None


class OutputOptions(_Checked):
    """How hard the model tries, and the form of its answer."""

    effort: str | None = None
    format: Object | None = None


class CountTokens(_Checked):
    """The body of `POST /v1/messages/count_tokens`."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[Message], Field(min_length=1)]
    system: Annotated[list[Text], BeforeValidator(_blocks)] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingOptions | None = None
    output_config: OutputOptions | None = None
    output_format: Object | None = None


class CreateMessage(CountTokens):
    """The body of `POST /v1/messages`."""

    max_tokens: Annotated[int, Field(ge=1)]
    stream: bool | None = None
    stop_sequences: list[Annotated[str, Field(min_length=1)]] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None


def read(model: type[M], body: bytes) -> M:
    """The request in a body.

    Raises:
        BadRequest: the first thing that is wrong, with its place.
    """
    try:
        return model.model_validate(parse_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = [str(part) for at, part in enumerate(first["loc"]) if at != 2 or first["loc"][0] != "messages"]
        raise BadRequest(f"{'.'.join(place)}: {first['msg'].removeprefix('Value error, ')}") from error
