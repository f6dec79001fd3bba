"""The request fields of OpenAI's API, and the errors with which it refuses others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Check: TypeAlias = Callable[[Any], bool]


class Refused(Exception):
    """What the API would refuse: OpenAI's message, code and param."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.status = status


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds)


_text, _flag, _list, _object = _kind(str), _kind(bool), _kind(list), _kind(dict)
_SAMPLING: Mapping[str, tuple[str, Check]] = {
    "model": ("a string", _text),
    "temperature": ("a decimal", _number),
    "top_p": ("a decimal", _number),
    "n": ("an integer", _whole),
    "stop": ("a string or an array of strings", _kind(str, list)),
    "max_tokens": ("an integer", _whole),
    "presence_penalty": ("a decimal", _number),
    "frequency_penalty": ("a decimal", _number),
    "logit_bias": ("an object", _object),
    "seed": ("an integer", _whole),
    "stream": ("a boolean", _flag),
    "stream_options": ("an object", _object),
    "user": ("a string", _text),
}
_CHAT: Mapping[str, tuple[str, Check]] = {
    **_SAMPLING,
    "messages": ("an array of objects", _list),
    "max_completion_tokens": ("an integer", _whole),
    "logprobs": ("a boolean", _flag),
    "top_logprobs": ("an integer", _whole),
    "tools": ("an array", _list),
    "tool_choice": ("a string or an object", _kind(str, dict)),
    "parallel_tool_calls": ("a boolean", _flag),
    "response_format": ("an object", _object),
    "reasoning_effort": ("a string", _text),
    "verbosity": ("a string", _text),
    "metadata": ("an object", _object),
    "store": ("a boolean", _flag),
    "service_tier": ("a string", _text),
    "modalities": ("an array", _list),
    "prediction": ("an object", _object),
    "prompt_cache_key": ("a string", _text),
    "safety_identifier": ("a string", _text),
}
_COMPLETIONS: Mapping[str, tuple[str, Check]] = {
    **_SAMPLING,
    "prompt": ("a string or an array of strings", _kind(str, list)),
    "suffix": ("a string", _text),
    "logprobs": ("an integer", _whole),
    "echo": ("a boolean", _flag),
    "best_of": ("an integer", _whole),
}
_EMBEDDINGS: Mapping[str, tuple[str, Check]] = {
    "model": ("a string", _text),
    "input": ("a string or an array", _kind(str, list)),
    "dimensions": ("an integer", _whole),
    "encoding_format": ("a string", _text),
    "user": ("a string", _text),
}
_RERANK: Mapping[str, tuple[str, Check]] = {
    "model": ("a string", _text),
    "query": ("a string", _text),
    "documents": ("an array", _kind(list)),
    "top_n": ("an integer", _whole),
}


class Endpoint(NamedTuple):
    """The fields an endpoint knows, with their types, and those it cannot do without."""

    fields: Mapping[str, tuple[str, Check]]
    required: Sequence[str]


CHAT = Endpoint(_CHAT, ("model", "messages"))
COMPLETIONS = Endpoint(_COMPLETIONS, ("model", "prompt"))
EMBEDDINGS = Endpoint(_EMBEDDINGS, ("model", "input"))
RERANK = Endpoint(_RERANK, ("model", "query", "documents"))
_BOUNDS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
}
_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
}


def check(body: Any, endpoint: Endpoint, extra: frozenset[str]) -> dict[str, Any]:
    """The body, if every field is known (or in `extra`) and has its type. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
        )
    for name in endpoint.required:
        if name not in body:
            raise Refused(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    for name, value in body.items():
        if name in endpoint.fields:
            _check_field(name, value, *endpoint.fields[name])
        elif name not in extra:
            raise Refused(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    for index, message in enumerate(body.get("messages", ())):
        _check_message(index, message)
    return body


def _check_field(name: str, value: Any, wanted: str, right: Check) -> None:
    if value is None:
        return
    if not right(value):
        got = _NAMES.get(type(value), "null")
        message = f"Invalid type for '{name}': expected {wanted}, but got {got} instead."
        raise Refused(message, code="invalid_type", param=name)
    low, high = _BOUNDS.get(name, (value, value))
    if name in _BOUNDS and value > high:
        message = f"Invalid '{name}': value above maximum value. Expected a value <= {high}, but got {value} instead."
        raise Refused(message, code="decimal_above_max_value", param=name)
    if name in _BOUNDS and value < low:
        message = f"Invalid '{name}': value below minimum value. Expected a value >= {low}, but got {value} instead."
        raise Refused(message, code="decimal_below_min_value", param=name)


def _check_message(index: int, message: Any) -> None:
    place = f"messages[{index}]"
    if not isinstance(message, dict):
        raise Refused(f"Invalid type for '{place}': expected an object.", code="invalid_type", param=place)
    role = message.get("role")
    roles = ("system", "developer", "user", "assistant", "tool", "function")
    if role not in roles:
        supported = ", ".join(f"'{name}'" for name in roles)
        text = f"Invalid value: '{role}'. Supported values are: {supported}."
        raise Refused(text, code="invalid_value", param=f"{place}.role")
    content = message.get("content")
    if content is None and role != "assistant":
        text = f"Invalid value for 'content': expected a string, got null in {place}."
        raise Refused(text, param=f"{place}.content")
    if role == "tool" and not message.get("tool_call_id"):
        text = f"Missing required parameter: '{place}.tool_call_id'."
        raise Refused(text, code="missing_required_parameter", param=f"{place}.tool_call_id")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if part.get("type") not in ("text", "image_url", "input_audio", "file", "refusal"):
            where = f"{place}.content[{number}].type"
            raise Refused(f"Invalid value: '{part.get('type')}'.", code="invalid_value", param=where)
