"""A conversation as Markdown, to be read: the branch on show, with what others there are noted."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import orjson

from portal.core.exchange import Arriving
from portal.core.items import Item, JsonObject, text_of
from portal.core.records import ConversationRecord

_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*\x7f]+')
_TICKS = re.compile("`+")
_LONGEST_NAME = 80
_LONGEST_OUTPUT = 4000


def file_name(record: ConversationRecord) -> str:
    """A name for a file system: its day, its title, and the end of its id, which makes it the only one."""
    title = _UNSAFE.sub(" ", record.title)
    title = " ".join(title.split())[:_LONGEST_NAME].strip(" .") or "conversation"
    return f"{_day(record.created_at)} {title} ({record.id[-6:]}).md"


def path_of(record: ConversationRecord, turns: Sequence[Arriving]) -> list[Arriving]:
    """The branch on show, oldest first."""
    by_id = {turn.response.id: turn for turn in turns}
    path: list[Arriving] = []
    at = record.head
    while at in by_id and len(path) <= len(by_id):
        turn = by_id.pop(at)
        path.append(turn)
        at = turn.response.previous_id
    return path[::-1]


def as_markdown(record: ConversationRecord, turns: Sequence[Arriving], files: Mapping[str, str]) -> Iterator[str]:
    """In pieces. `turns` are all of its responses, `files` where files are, by id."""
    path = path_of(record, turns)
    models = list(dict.fromkeys(turn.response.model for turn in path if turn.response.model))
    yield _front(record, models, len(turns) - len(path))
    yield f"# {record.title or 'Conversation'}\n"
    beside = _siblings(turns)
    for turn in path:
        for item in turn.inputs:
            yield from _item(item, files, turn)
        for item in turn.outputs:
            yield from _item(item, files, turn)
        others = beside.get(turn.response.previous_id, 1)
        if others > 1:
            yield f"\n*(One of {others} versions; the others are in responses.jsonl.)*\n"


def _front(record: ConversationRecord, models: Sequence[str], others: int) -> str:
    known: JsonObject = {
        "title": record.title,
        "created": _moment(record.created_at),
        "updated": _moment(record.updated_at),
        "models": models,
        "id": record.id,
        "other_branches": others,
    }
    lines = (f"{name}: {orjson.dumps(value).decode('utf-8')}" for name, value in known.items())  # JSON is YAML
    return "\n".join(["---", *lines, "---", "", ""])


def _siblings(turns: Sequence[Arriving]) -> Mapping[str | None, int]:
    count: dict[str | None, int] = {}
    for turn in turns:
        count[turn.response.previous_id] = count.get(turn.response.previous_id, 0) + 1
    return count


def _item(item: Item, files: Mapping[str, str], turn: Arriving) -> Iterator[str]:
    kind = item.get("type")
    if kind == "message":
        who = {"user": "You", "assistant": turn.response.model or "Assistant"}.get(
            str(item.get("role")), "Instructions"
        )
        yield f"\n## {who}\n\n"
        yield _placed(text_of(item), files) + "\n"
        yield from _attachments(item, files)
    elif kind == "reasoning":
        said = text_of(item) or "\n\n".join(str(part.get("text", "")) for part in item.get("summary") or ())
        if said:
            yield f"\n<details><summary>Reasoning</summary>\n\n{said}\n\n</details>\n"
    elif kind in ("mcp_call", "function_call"):
        given = _fenced(str(item.get("arguments") or ""), "json")
        yield f"\n<details><summary>Tool: {item.get('name')}</summary>\n\n{given}"
        if item.get("output"):
            yield f"\n{_fenced(str(item['output'])[:_LONGEST_OUTPUT])}"
        yield "\n</details>\n"


def _attachments(item: Item, files: Mapping[str, str]) -> Iterator[str]:
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if part.get("type") in ("input_image", "input_file") and part.get("file_id"):
            there = files.get(part["file_id"])
            name = part.get("filename") or (there or "file").rsplit("/", 1)[-1]
            sign = "!" if part["type"] == "input_image" else ""
            yield f"\n{sign}[{name}](<../{there}>)\n" if there else f"\n(The file {name} is not there any more.)\n"


def _placed(text: str, files: Mapping[str, str]) -> str:
    """With the addresses of files as they are in the export."""
    return _CONTENT.sub(lambda found: f"<../{files[found[1]]}>" if found[1] in files else found[0], text)


_CONTENT = re.compile(r"/v1/files/(file_[0-9a-f]{32})/content(?:\?inline=1)?")


def _fenced(text: str, language: str = "") -> str:
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}{language}\n{text}\n{fence}\n"


def _day(stamp: int) -> str:
    return _moment(stamp)[:10]


def _moment(stamp: int) -> str:
    return datetime.fromtimestamp(stamp / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
