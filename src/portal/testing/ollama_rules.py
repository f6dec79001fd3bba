"""The types of Ollama's request fields, and the words in which it refuses others."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

_INT, _FLOAT, _BOOL = "int", "float32", "bool"
_OPTIONS = {
    **dict.fromkeys(
        ("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "seed", "num_predict", "top_k"), _INT
    ),
    **dict.fromkeys(("repeat_last_n", "mirostat", "draft_num_predict"), _INT),
    **dict.fromkeys(("top_p", "min_p", "tfs_z", "typical_p", "temperature", "repeat_penalty"), _FLOAT),
    **dict.fromkeys(("presence_penalty", "frequency_penalty", "mirostat_tau", "mirostat_eta"), _FLOAT),
    **dict.fromkeys(("numa", "use_mmap", "use_mlock", "low_vram", "vocab_only", "penalize_newline"), _BOOL),
}
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "model": str,
    "prompt": str,
    "suffix": str,
    "system": str,
    "template": str,
    "raw": bool,
    "stream": bool,
    "messages": list,
    "tools": list,
    "options": dict,
    "keep_alive": (str, int, float),
    "logprobs": bool,
    "top_logprobs": int,
    "images": list,
}


class Refused(Exception):
    """What Ollama would refuse with this status and these words."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def check_generate(body: Any, field: str) -> str:
    """The model that a body of `/api/chat` or `/api/generate` names. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused("json: cannot unmarshal array into Go value of type api.ChatRequest")
    for name, wanted in _FIELDS.items():
        value = body.get(name)
        wrong = value is not None and not isinstance(value, wanted)
        if wrong or (wanted is int and isinstance(value, bool)):
            kind = type(value).__name__
            raise Refused(f"json: cannot unmarshal {kind} into Go struct field ChatRequest.{name}")
    if not body.get("model"):
        raise Refused("model is required")
    check_options(body.get("options"))
    _check_think(body.get("think"))
    _check_format(body.get("format"))
    for message in body.get("messages") or ():
        _check_message(message)
    _check_images(body.get("images"))
    return str(body["model"])


def check_options(options: Any) -> None:
    """Unknown ones are ignored, as Ollama does with a line in its log; wrong types are refused."""
    for name, value in (options or {}).items():
        kind = _OPTIONS.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        right = {
            _INT: number and float(value or 0).is_integer(),
            _FLOAT: number,
            _BOOL: isinstance(value, bool),
            None: True,
        }
        if not right[kind]:
            raise Refused(f'option "{name}" must be of type {kind}')
    stop = (options or {}).get("stop", [])
    if not isinstance(stop, list) or not all(isinstance(word, str) for word in stop):
        raise Refused('option "stop" must be of type array')


def _check_think(think: Any) -> None:
    if not isinstance(think, bool | None) and think not in ("high", "medium", "low"):
        raise Refused(f'invalid think value: {think!r} (must be "high", "medium", "low", true, or false)')


def _check_format(wanted: Any) -> None:
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        raise Refused(f'invalid format: "{wanted}"; expected "json" or a valid JSON Schema object')


def _check_message(message: Any) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refused("json: cannot unmarshal into Go struct field ChatRequest.messages.role of type string")
    if message["role"] not in ("system", "user", "assistant", "tool"):
        raise Refused(f"invalid role {message['role']!r}")
    if not isinstance(message.get("content", ""), str):
        raise Refused("json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string")
    _check_images(message.get("images"))
    for call in message.get("tool_calls") or ():
        if not isinstance(call.get("function", {}).get("arguments"), dict):
            raise Refused(
                "json: cannot unmarshal string into Go struct field .messages.tool_calls.function.arguments of type "
                "api.ToolCallFunctionArguments"
            )


def _check_images(images: Any) -> None:
    for image in images or ():
        try:
            base64.b64decode(image, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise Refused("illegal base64 data at input byte 4") from error
