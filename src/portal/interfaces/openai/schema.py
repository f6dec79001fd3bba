"""Request bodies of the Responses API, conversations and embeddings, with the limits OpenAI sets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from portal.core.items import JsonObject
from portal.errors import BadRequest
from portal.interfaces.openai.validation import Checked, check, missing, one_of, wrong_type

Penalty = Annotated[float, Field(ge=-2, le=2)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Probability = Annotated[float, Field(ge=0, le=1)]
TopLogprobs = Annotated[int, Field(ge=0, le=20)]
Key = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
Metadata = Annotated[dict[Key, Annotated[str, Field(max_length=512)]], Field(max_length=16)]
ModelId = Annotated[str, Field(min_length=1)]
PictureSize = Annotated[str, Field(pattern=r"^(auto|[0-9]{2,5}x[0-9]{2,5})$")]
PictureQuality = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]
Background = Literal["auto", "opaque", "transparent"]

Include = Literal[
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]
_CHOICES = ("none", "auto", "required")


class FunctionTool(Checked):
    """A function of the client's that the model may call."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Ranking(Checked):
    ranker: str | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class FileSearchTool(Checked):
    """The search of collections, which Portal runs before the model answers."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=32)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None
    filters: dict[str, Any] | None = None
    ranking_options: _Ranking | None = None


class ImageGenerationTool(Checked):
    """Pictures, made by Portal's own tools in a workspace; what is left out is the model's to choose."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["image_generation"]
    model: str | None = None
    size: PictureSize | None = None
    quality: PictureQuality | None = None
    background: Background | None = None
    output_format: Literal["png"] | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None


_TOOLS: Mapping[str, type[Checked]] = {
    "function": FunctionTool,
    "file_search": FileSearchTool,
    "image_generation": ImageGenerationTool,
}


class Reasoning(Checked):
    """How hard the model thinks, and what it shows of that."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class _Format(Checked):
    type: Literal["text", "json_object", "json_schema"]


class _SchemaFormat(Checked):
    name: Name
    json_schema: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextOptions(Checked):
    """The form of the answer's text."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class _StreamOptions(Checked):
    include_obfuscation: bool | None = None


class _AllowedTool(Checked):
    type: Literal["function"]
    name: Name


class _AllowedTools(Checked):
    tools: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=128)]
    mode: Literal["none", "auto", "required"] | None = None


class _ChatSchema(Checked):
    json_schema: dict[str, Any] | None = Field(None, alias="schema")


class _ChatFormat(Checked):
    type: str
    json_schema: _ChatSchema | None = None


class Passed(Checked):
    """Parameters that go to the model server under the name they came with: typed where Portal reads them as well."""

    response_format: _ChatFormat | None = None
    reasoning_effort: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    user: str | None = None
    seed: int | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: Any = None
    logit_bias: dict[str, Any] | None = None
    num_ctx: int | None = None
    num_predict: int | None = None
    options: dict[str, Any] | None = None


class CreateResponse(Passed):
    """The body of `POST /v1/responses`."""

    model: ModelId
    input: Any = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    include: list[Include] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    metadata: Metadata | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_logprobs: TopLogprobs | None = None
    max_output_tokens: Annotated[int, Field(ge=16)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    background: bool | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    safety_identifier: Key | None = None
    prompt_cache_key: Key | None = None

    @property
    def stored(self) -> bool:
        """Stored unless the client says otherwise."""
        return self.store is not False

    @property
    def conversation_id(self) -> str | None:
        """The conversation, named by its id or by `{"id": ...}`."""
        if self.conversation is None or isinstance(self.conversation, str):
            return self.conversation
        if not isinstance(self.conversation, dict):
            raise wrong_type("conversation", "one of a string or object", self.conversation)
        named = self.conversation.get("id")
        if named is None:
            raise missing("conversation.id")
        if not isinstance(named, str):
            raise wrong_type("conversation.id", "a string", named)
        return named


class CompactResponse(Checked):
    """The body of `POST /v1/responses/compact`."""

    model: ModelId
    input: Any = None
    previous_response_id: str | None = None
    instructions: str | None = None
    prompt_cache_key: Key | None = None


class CreateConversation(Checked):
    """The body of `POST /v1/conversations`."""

    items: Annotated[list[Any], Field(max_length=20)] | None = None
    metadata: Metadata | None = None


class UpdateConversation(Checked):
    """The body of `POST /v1/conversations/{id}`."""

    metadata: Metadata | None


class CreateItems(Checked):
    """The body of `POST /v1/conversations/{id}/items`."""

    items: Annotated[list[Any], Field(min_length=1, max_length=20)]


class CreateEmbeddings(Checked):
    """The body of `POST /v1/embeddings`."""

    model: ModelId
    input: Any
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class CreateRerank(Checked):
    """The body of `POST /v1/rerank`."""

    model: ModelId
    query: str
    documents: list[Any]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool | None = None


class CustomVoice(Checked):
    """A voice as an object."""

    id: str


class CreateSpeech(Checked):
    """The body of `POST /v1/audio/speech`. `language` is Portal's own: it chooses a voice where none is named.
    `ref_audio` and `ref_text` are vLLM's: a recording whose voice is to be imitated, and what is said in it."""

    model: ModelId
    input: str
    voice: str | CustomVoice | None = None
    instructions: str = ""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    language: str = ""
    ref_audio: Annotated[str, Field(pattern=r"^(data:audio/[a-z0-9.+-]+;base64,.+)?$")] = ""
    ref_text: str = ""


class CreateCompletion(Checked):
    """The body of `POST /v1/completions`."""

    model: ModelId
    prompt: Any
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    stop: Any = None
    suffix: str | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None


class CreateChat(Checked):
    """What `POST /v1/chat/completions` must look like to be passed on; the rest is the model server's to judge."""

    model: ModelId
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    stream: bool | None = None
    store: bool | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    metadata: Metadata | None = None
    tools: list[dict[str, Any]] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stream_options: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None


class _CalledFunction(Checked):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _ChatTool(Checked):
    type: Literal["function"]
    function: _CalledFunction


class ConvertedChat(Passed):
    """What else a chat request must look like where Portal converts it for another API."""

    tools: list[_ChatTool] | None = None
    tool_choice: Any = None


def check_stop(stop: object) -> None:
    """Raises BadRequest for what is neither a text nor a list of texts."""
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in stop):
        raise wrong_type("stop", "one of a string or array of strings", stop)


def read_response_body(payload: JsonObject) -> CreateResponse:
    """A checked `POST /v1/responses` body.

    Raises:
        BadRequest: naming the field at fault.
    """
    body = check(CreateResponse, payload)
    check_stop(body.stop)
    for index, tool in enumerate(body.tools or ()):
        _check_tool(tool, f"tools[{index}]")
    _check_choice(body.tool_choice)
    if body.text is not None and body.text.format is not None:
        wanted = check(_Format, body.text.format, "text.format")
        if wanted.type == "json_schema":
            check(_SchemaFormat, body.text.format, "text.format")
    if body.background and not body.stored:
        raise BadRequest("Background mode requires 'store' to be true.", param="background", code="invalid_value")
    return body


def _check_tool(tool: JsonObject, at: str) -> None:
    kind = tool.get("type")
    if kind is None:
        raise missing(f"{at}.type")
    if not isinstance(kind, str) or kind not in _TOOLS:
        raise one_of([*_TOOLS], kind, f"{at}.type")
    check(_TOOLS[kind], tool, at)


def _check_choice(choice: object) -> None:
    if choice is None or choice in _CHOICES:
        return
    if isinstance(choice, str):
        raise one_of(_CHOICES, choice, "tool_choice")
    if not isinstance(choice, dict):
        raise wrong_type("tool_choice", "one of a string or object", choice)
    kind = choice.get("type")
    if kind == "allowed_tools":
        for index, tool in enumerate(check(_AllowedTools, choice, "tool_choice").tools):
            _check_allowed(tool, f"tool_choice.tools[{index}]")
    elif isinstance(kind, str) and kind in _TOOLS:
        _check_allowed(choice, "tool_choice")
    else:
        raise one_of((*_TOOLS, "allowed_tools"), kind, "tool_choice.type")


def _check_allowed(tool: JsonObject, at: str) -> None:
    if tool.get("type") not in ("file_search", "image_generation"):
        check(_AllowedTool, tool, at)
