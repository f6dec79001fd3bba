"""What Slack takes and what it refuses: blocks, text, metadata and chunks, as its documentation bounds them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MESSAGE_TEXT, UPDATE_TEXT, MARKDOWN_TEXT, ALL_BLOCKS_TEXT = 40_000, 4_000, 12_000, 13_000
_METADATA_BYTES, _MESSAGE_BLOCKS, _VIEW_BLOCKS = 8_000, 50, 100
_MESSAGE_KINDS = {"section", "markdown", "divider", "header", "context", "actions", "image", "context_actions", "file"}
_VIEW_KINDS = (_MESSAGE_KINDS | {"input"}) - {"markdown", "context_actions", "file"}
_STATUSES = {"pending", "in_progress", "complete", "error"}
_JSON_FIELDS = ("blocks", "metadata", "files", "chunks", "view", "prompts", "attachments", "loading_messages")


class Refused(Exception):
    """What Slack answers `{"ok": false, "error": ...}` with; `more` goes into that object."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


def parsed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call; those of forms carry JSON as strings."""
    found = dict(fields)
    for name in _JSON_FIELDS:
        if isinstance(found.get(name), str):
            try:
                found[name] = json.loads(found[name])
            except ValueError:
                raise _bad(
                    f"invalid_{name}_format" if name in ("blocks", "metadata") else "invalid_arguments"
                ) from None
    return found


def required(args: Mapping[str, Any], name: str, error: str = "invalid_arguments") -> str:
    """A string that must be there."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(error, f"missing required field: {name}")
    return value


def flag(args: Mapping[str, Any], name: str) -> bool:
    """A boolean as forms and JSON have it."""
    return args.get(name) in (True, 1, "1", "true", "True")


def check_content(args: Mapping[str, Any], *, longest: int = MESSAGE_TEXT) -> None:
    """The body of a message: text, blocks, or markdown_text. Raises Refused."""
    text, blocks, markdown = args.get("text"), args.get("blocks"), args.get("markdown_text")
    if markdown and (text or blocks):
        raise Refused("markdown_text_conflict")
    if not (text or blocks or markdown or args.get("attachments")):
        raise Refused("no_text")
    if text is not None and not isinstance(text, str):
        raise _bad("invalid_arguments", "text must be a string")
    if len(text or "") > longest or len(markdown or "") > MARKDOWN_TEXT:
        raise Refused("msg_too_long")
    if not blocks and not markdown and not (text or "").strip():
        raise Refused("no_text")
    if blocks is not None:
        check_blocks(blocks)


def check_metadata(metadata: Any) -> None:
    """Metadata of a message. Raises Refused."""
    if metadata in (None, {}):
        return
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata["event_type"], str) or not isinstance(metadata["event_payload"], dict):
        raise Refused("invalid_metadata_schema")
    if len(json.dumps(metadata).encode()) > _METADATA_BYTES:
        raise Refused("metadata_too_large")


def check_chunks(chunks: Any) -> str:
    """The text that chunks of a stream carry. Raises Refused."""
    if not isinstance(chunks, list):
        raise Refused("invalid_chunks")
    text = ""
    for chunk in chunks:
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if kind == "markdown_text" and isinstance(chunk.get("text"), str):
            text += chunk["text"]
        elif kind == "blocks":
            check_blocks(chunk.get("blocks"))
        elif not _is_step(kind, chunk):
            raise Refused("invalid_chunks")
    return text


def _is_step(kind: str | None, chunk: dict[str, Any]) -> bool:
    """Whether a chunk shows a task or a plan."""
    titled = isinstance(chunk.get("title"), str) and bool(chunk["title"])
    return titled and (kind == "plan_update" or (kind == "task_update" and chunk.get("status") in _STATUSES))


def check_view(view: Any, *, kind: str) -> None:
    """A view for the Home tab or a modal. Raises Refused."""
    if not isinstance(view, dict) or view.get("type") != kind:
        raise _bad("invalid_arguments", f"view.type must be {kind}")
    if kind == "modal":
        _text(view.get("title"), 24, plain=True)
    if len(view.get("private_metadata", "")) > 3000 or len(view.get("callback_id", "")) > 255:
        raise _bad("invalid_arguments", "view too large")
    check_blocks(view.get("blocks"), most=_VIEW_BLOCKS, kinds=_VIEW_KINDS)


def check_blocks(blocks: Any, *, most: int = _MESSAGE_BLOCKS, kinds: set[str] = _MESSAGE_KINDS) -> None:
    """Blocks of a message or a view. Raises Refused."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Refused("invalid_blocks_format")
    if len(blocks) > most:
        raise _bad("invalid_blocks", f"no more than {most} items allowed [json-pointer:/blocks]")
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(set(ids)) < len(ids):
        raise _bad("invalid_blocks", "block_id already exists")
    if any(not isinstance(one, str) or len(one) > 255 for one in ids):
        raise _bad("invalid_blocks", "must be less than 256 characters [block_id]")
    for block in blocks:
        _check_block(block, kinds)
    if sum(len(block.get("text", "")) for block in blocks if block["type"] == "markdown") > MARKDOWN_TEXT:
        raise Refused("msg_blocks_too_long")
    if sum(map(len, _texts(blocks))) > ALL_BLOCKS_TEXT:
        raise Refused("msg_blocks_too_long")


def _check_block(block: dict[str, Any], kinds: set[str]) -> None:
    kind = block.get("type")
    if kind not in kinds:
        raise _bad("invalid_blocks", f"Unsupported block type: {kind}")
    if kind == "section":
        if "text" not in block and not block.get("fields"):
            raise _bad("invalid_blocks", "text or fields is required")
        if "text" in block:
            _text(block["text"], 3000)
        fields = block.get("fields", [])
        _count(fields, 10)
        for field in fields:
            _text(field, 2000)
        if "accessory" in block:
            _element(block["accessory"])
    elif kind == "markdown":
        _string(block.get("text"), MARKDOWN_TEXT)
    elif kind == "header":
        _text(block.get("text"), 150, plain=True)
    elif kind == "context":
        _count(block.get("elements"), 10, least=1)
        for element in block["elements"]:
            if element.get("type") != "image":
                _text(element, 3000)
    elif kind in ("actions", "context_actions"):
        _count(block.get("elements"), 25 if kind == "actions" else 5, least=1)
        names = [_element(element) for element in block["elements"]]
        if len(set(names)) < len(names):
            raise _bad("invalid_blocks", "action_id already exists")
    elif kind == "image":
        _string(block.get("alt_text"), 2000)
        if not block.get("image_url") and not block.get("slack_file"):
            raise _bad("invalid_blocks", "image_url or slack_file is required")


def _element(element: Any) -> str:
    """The action_id of an interactive element."""
    if not isinstance(element, dict):
        raise _bad("invalid_blocks", "invalid element")
    if element.get("type") == "button":
        _text(element.get("text"), 75, plain=True)
        if len(element.get("value", "")) > 2000 or len(element.get("url", "")) > 3000:
            raise _bad("invalid_blocks", "must be less than 2001 characters [value]")
        if element.get("style") not in (None, "primary", "danger"):
            raise _bad("invalid_blocks", "invalid style")
    elif element.get("type") not in ("static_select", "overflow", "image", "feedback_buttons", "plain_text_input"):
        raise _bad("invalid_blocks", f"Unsupported element: {element.get('type')}")
    name = element.get("action_id", "")
    if not isinstance(name, str) or len(name) > 255:
        raise _bad("invalid_blocks", "must be less than 256 characters [action_id]")
    return name or str(id(element))


def _text(value: Any, most: int, *, plain: bool = False) -> None:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(value, dict) or value.get("type") not in kinds:
        raise _bad("invalid_blocks", f"must be a {' or '.join(kinds)} object")
    if set(value) - {"type", "text", "emoji", "verbatim"} or (value["type"] == "mrkdwn" and "emoji" in value):
        raise _bad("invalid_blocks", "additional property in a text object")
    _string(value.get("text"), most)


def _string(value: Any, most: int) -> None:
    if not isinstance(value, str) or not value:
        raise _bad("invalid_blocks", "must be more than 0 characters [json-pointer:/blocks/text]")
    if len(value) > most:
        raise _bad("invalid_blocks", f"must be less than {most + 1} characters [json-pointer:/blocks/text]")


def _count(value: Any, most: int, *, least: int = 0) -> None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise _bad("invalid_blocks", f"between {least} and {most} items allowed")


def _texts(value: Any) -> Iterator[str]:
    """Every text in blocks, however deep."""
    if isinstance(value, Mapping):
        text = value.get("text")
        if isinstance(text, str):
            yield text
        yield from _texts([inner for name, inner in value.items() if not isinstance(inner, str)])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _texts(inner)


def _bad(error: str, detail: str = "") -> Refused:
    return Refused(error, response_metadata={"messages": [f"[ERROR] {detail}"]}) if detail else Refused(error)
