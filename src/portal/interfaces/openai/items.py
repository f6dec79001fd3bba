"""Items that came in: checked one by one, and completed with ids and statuses as they are stored."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from portal.core.approvals import Extent
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.interfaces.openai.drawn import read_picture
from portal.interfaces.openai.validation import (
    Checked,
    check,
    empty_array,
    empty_text,
    missing,
    one_of,
    sent_of,
    wrong_type,
)

Status = Literal["in_progress", "completed", "incomplete"]
Label = Annotated[str, Field(min_length=1, max_length=128)]
CallId = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=32 * 2**20)]

_ROLES = ("user", "assistant", "system", "developer")
_IMAGE_DETAILS = Literal["low", "high", "auto", "original"]


class _TextPart(Checked):
    text: Text


class _OutputText(Checked):
    text: Text
    annotations: list[dict[str, Any]] | None = None
    logprobs: list[dict[str, Any]] | None = None


class _Refusal(Checked):
    refusal: Text


class _Image(Checked):
    image_url: str | None = None
    file_id: str | None = None
    detail: _IMAGE_DETAILS | None = None


class _File(Checked):
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None


class _AudioData(Checked):
    data: str
    format: Literal["mp3", "wav"]


class _Audio(Checked):
    input_audio: _AudioData


class _Message(Checked):
    content: Any
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class _FunctionCall(Checked):
    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=128)]
    arguments: Text
    status: Status | None = None


class _FunctionCallOutput(Checked):
    call_id: CallId
    output: Any
    status: Status | None = None


class _SummaryPart(Checked):
    type: Literal["summary_text"]
    text: Text


class _ReasoningPart(Checked):
    type: Literal["reasoning_text", "text", "output_text"]
    text: Text


class _Reasoning(Checked):
    summary: list[_SummaryPart] = Field(default_factory=list)
    content: list[_ReasoningPart] | None = None
    encrypted_content: str | None = None


class _Compaction(Checked):
    encrypted_content: Text


class _Call(Checked):
    """What a call that Portal runs and a question about one have in common."""

    server_label: Label
    name: Label
    arguments: Text


class _AskedCall(_Call):
    id: CallId
    why: Text = Field("", alias="portal:why")
    risk: str | None = Field(None, alias="portal:risk")
    question: bool = Field(False, alias="portal:question")
    extents: list[str] = Field(default_factory=lambda: ["once"], alias="portal:extents")
    expires_at: int | None = Field(None, alias="portal:expires_at")


class _RunCall(_Call):
    output: Text | None = None
    error: Any = None
    status: Literal["in_progress", "completed", "incomplete", "calling", "failed"] | None = None
    approval_request_id: CallId | None = None
    round: int | None = Field(None, alias="portal:round")
    risk: str | None = Field(None, alias="portal:risk")
    files: list[dict[str, Any]] | None = Field(None, alias="portal:files")
    untrusted: bool | None = Field(None, alias="portal:untrusted")
    milliseconds: int | None = Field(None, alias="portal:milliseconds")


class _FileSearch(Checked):
    queries: list[Text]
    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] | None = None
    results: list[dict[str, Any]] | None = None
    found: list[dict[str, Any]] | None = Field(None, alias="portal:found")
    untrusted: bool | None = Field(None, alias="portal:untrusted")


class _Answer(Checked):
    approval_request_id: CallId
    approve: bool
    reason: Text | None = None
    extent: Extent = Field("once", alias="portal:extent")
    arguments: dict[str, Any] | None = Field(None, alias="portal:arguments")


class _Reference(Checked):
    id: str


def read_input(raw: object, param: str = "input") -> list[Item]:
    """The items of a request's input: text is one message of the user. References come back as they are.

    Raises:
        BadRequest: naming the field at fault.
    """
    if isinstance(raw, str):
        if not raw.strip():
            raise empty_text(param)
        return [_message("user", [{"type": "input_text", "text": raw}])]
    if not isinstance(raw, list):
        raise wrong_type(param, "one of a string or array of input items", raw)
    if not raw:
        raise empty_array(param)
    return [read_item(element, f"{param}[{index}]") for index, element in enumerate(raw)]


def read_item(raw: object, at: str) -> Item:
    """One item; `at` is its place in the request. Raises BadRequest."""
    if not isinstance(raw, dict):
        raise wrong_type(at, "an object", raw)
    kind = raw.get("type")
    if kind is None:
        kind = "message" if "role" in raw else "item_reference" if raw.keys() == {"id"} else None
    if kind is None:
        raise missing(f"{at}.type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise one_of(tuple(_READERS), kind, f"{at}.type")
    return read(raw, at)


def _read_message(raw: JsonObject, at: str) -> Item:
    sent = check(_Message, raw, at)
    role = raw.get("role")
    if role is None:
        raise missing(f"{at}.role")
    if role not in _ROLES:
        raise one_of(_ROLES, role, f"{at}.role")
    if role == "assistant":
        content = _parts(sent.content, f"{at}.content", _ASSISTANT_PARTS, "output_text")
    else:
        content = _parts(sent.content, f"{at}.content", _INPUT_PARTS, "input_text")
    if role == "user":
        _check_said(content, f"{at}.content", whole=isinstance(sent.content, str))
    made = _message(role, content, sent.status)
    if sent.phase is not None:
        made["phase"] = sent.phase
    return made


def _check_said(content: list[JsonObject], at: str, *, whole: bool) -> None:
    """A user who says nothing has made a mistake; a model may have nothing to say. `whole`: sent as plain text."""
    if not content:
        raise empty_array(at)
    if all(part["type"] == "input_text" and not part["text"] for part in content):
        raise empty_text(at if whole else f"{at}[0].text")


def _message(role: str, content: list[JsonObject], status: str | None = None) -> Item:
    return {
        "type": "message",
        "id": new_id("msg"),
        "status": status or "completed",
        "role": role,
        "content": content,
    }


def _parts(raw: object, at: str, known: Mapping[str, "_PartReader"], plain: str) -> list[JsonObject]:
    """Content parts; a plain string is one part of type `plain`."""
    if isinstance(raw, str):
        return [known[plain]({"type": plain, "text": raw}, at)]
    if not isinstance(raw, list):
        raise wrong_type(at, "one of a string or array of content parts", raw)
    return [_part(part, f"{at}[{index}]", known) for index, part in enumerate(raw)]


def _part(raw: object, at: str, known: Mapping[str, "_PartReader"]) -> JsonObject:
    if not isinstance(raw, dict):
        raise wrong_type(at, "an object", raw)
    kind = raw.get("type")
    if kind is None:
        raise missing(f"{at}.type")
    if not isinstance(kind, str) or kind not in known:
        raise one_of(tuple(known), kind, f"{at}.type")
    return known[kind](raw, at)


def _input_text(raw: JsonObject, at: str) -> JsonObject:
    return {"type": "input_text", "text": check(_TextPart, raw, at).text}


def _output_text(raw: JsonObject, at: str) -> JsonObject:
    sent = check(_OutputText, raw, at)
    made: JsonObject = {"type": "output_text", "text": sent.text, "annotations": sent.annotations or []}
    if sent.logprobs:
        made["logprobs"] = sent.logprobs
    return made


def _refusal(raw: JsonObject, at: str) -> JsonObject:
    return {"type": "refusal", "refusal": check(_Refusal, raw, at).refusal}


def _image(raw: JsonObject, at: str) -> JsonObject:
    sent = check(_Image, raw, at)
    if not sent.image_url and not sent.file_id:
        raise missing(f"{at}.image_url")
    made: JsonObject = {"type": "input_image", "image_url": sent.image_url, "detail": sent.detail or "auto"}
    return {**made, "file_id": sent.file_id} if sent.file_id else made


def _file(raw: JsonObject, at: str) -> JsonObject:
    sent = check(_File, raw, at).model_dump(include={"file_id", "file_data", "file_url", "filename"}, exclude_none=True)
    if not sent.keys() & {"file_id", "file_data", "file_url"}:
        raise missing(f"{at}.file_id")
    return {"type": "input_file", **sent}


def _audio(raw: JsonObject, at: str) -> JsonObject:
    return {"type": "input_audio", "input_audio": check(_Audio, raw, at).input_audio.model_dump()}


_PartReader = Callable[[JsonObject, str], JsonObject]
_INPUT_PARTS: Mapping[str, _PartReader] = {
    "input_text": _input_text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
_ASSISTANT_PARTS: Mapping[str, _PartReader] = {"output_text": _output_text, "refusal": _refusal}


def _read_call(raw: JsonObject, at: str) -> Item:
    sent = check(_FunctionCall, raw, at)
    return {
        "type": "function_call",
        "id": new_id("fc"),
        "call_id": sent.call_id,
        "name": sent.name,
        "arguments": sent.arguments,
        "status": sent.status or "completed",
    }


def _read_output(raw: JsonObject, at: str) -> Item:
    sent = check(_FunctionCallOutput, raw, at)
    output = sent.output
    if not isinstance(output, str):
        output = _parts(output, f"{at}.output", _INPUT_PARTS, "input_text")
    return {
        "type": "function_call_output",
        "id": new_id("fco"),
        "call_id": sent.call_id,
        "output": output,
        "status": sent.status or "completed",
    }


def _read_reasoning(raw: JsonObject, at: str) -> Item:
    sent = check(_Reasoning, raw, at)
    made: Item = {
        "type": "reasoning",
        "id": new_id("rs"),
        "summary": [{"type": "summary_text", "text": part.text} for part in sent.summary],
        "content": [{"type": "reasoning_text", "text": part.text} for part in sent.content or ()],
    }
    return {**made, "encrypted_content": sent.encrypted_content} if sent.encrypted_content else made


def _read_compaction(raw: JsonObject, at: str) -> Item:
    sealed = check(_Compaction, raw, at).encrypted_content
    return {"type": "compaction", "id": new_id("cmp"), "encrypted_content": sealed}


def _read_question(raw: JsonObject, at: str) -> Item:
    """It keeps its id: answers and calls name it by that."""
    return {"type": "mcp_approval_request", **sent_of(check(_AskedCall, raw, at))}


def _read_run_call(raw: JsonObject, at: str) -> Item:
    sent = check(_RunCall, raw, at)
    status = sent.status or ("failed" if sent.error else "completed")
    known = {"output": sent.output, "error": _error_text(sent.error, f"{at}.error"), "status": status}
    return {"type": "mcp_call", "id": new_id("mcp"), "approval_request_id": None, **sent_of(sent), **known}


def _read_file_search(raw: JsonObject, at: str) -> Item:
    sent = check(_FileSearch, raw, at)
    status = {"status": sent.status or "completed", "results": sent.results}
    return {"type": "file_search_call", "id": new_id("fs"), **sent_of(sent), **status}


def _read_answer(raw: JsonObject, at: str) -> Item:
    return {"type": "mcp_approval_response", "id": new_id("mcpa"), **sent_of(check(_Answer, raw, at))}


def _error_text(error: object, at: str) -> str | None:
    """OpenAI knows errors as text and as objects."""
    if isinstance(error, dict):
        error = error.get("message") or str(error.get("content", ""))
    if error is not None and not isinstance(error, str):
        raise wrong_type(at, "one of a string or object", error)
    return error


def _read_reference(raw: JsonObject, at: str) -> Item:
    return {"type": "item_reference", "id": check(_Reference, raw, at).id}


_READERS: Mapping[str, Callable[[JsonObject, str], Item]] = {
    "message": _read_message,
    "function_call": _read_call,
    "function_call_output": _read_output,
    "reasoning": _read_reasoning,
    "compaction": _read_compaction,
    "mcp_call": _read_run_call,
    "mcp_approval_request": _read_question,
    "mcp_approval_response": _read_answer,
    "file_search_call": _read_file_search,
    "image_generation_call": read_picture,
    "item_reference": _read_reference,
}
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "mcp_call": "mcp",
    "mcp_approval_response": "mcpa",
    "file_search_call": "fs",
    "image_generation_call": "ig",
}
_NAMED_BY_ITS_ID = "mcp_approval_request"


def copied(item: Item) -> Item:
    """The same item under an id of its own, as an item reference puts it into another turn."""
    if item["type"] == _NAMED_BY_ITS_ID:
        return item
    return {**item, "id": new_id(_PREFIXES.get(item["type"], "item"))}
