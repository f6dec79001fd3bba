"""Open WebUI's exports: chats as a JSON array, each with a tree of messages; its models, prompts and memories, and its
database webui.db."""

import base64
import binascii
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.elements import LARGEST, Broken, elements
from portal.exchange.fields import arguments, as_json, identity, listed, mapping, moment, parts_text, text
from portal.exchange.shape import (
    Attached,
    Fact,
    Left,
    Persona,
    Piece,
    Said,
    Shelf,
    Talk,
    answered,
    asked,
    called,
    resulted,
    thought,
)

if TYPE_CHECKING:
    import apsw

SOURCE = "openwebui"
_LARGEST_PICTURE = 20 * 2**20
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")
_DETAILS = re.compile(r"<details\b([^<>]*)>")
_SUMMARY = re.compile(r"<summary>.{0,500}?</summary>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(?<![\w-])([\w-]++)="([^"]*)"')
_THINK = re.compile(r"<(think|thinking|reasoning)>")
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


class OpenWebUI:
    """Reads one. `login` is the sign-in name of whoever brings it in: of a database, their chats are taken."""

    def __init__(self, archive: Archive, login: str = "") -> None:
        self._archive, self._login = archive, login

    def pieces(self) -> Iterator[Piece]:
        """All that is in it."""
        if self._archive.is_database:
            with self._archive.database() as database:
                yield from self._rows(database)
            return
        for name in self._archive.names():
            if name.endswith((".json", ".jsonl")) or not self._archive.is_zip:
                with self._archive.open(name) as file:
                    for element in elements(file):
                        yield from _piece(element)

    def _rows(self, database: "apsw.Connection") -> Iterator[Piece]:
        tables = {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"chat", "user"} <= tables:
            raise BadRequest("The database is not Open WebUI's webui.db.", code="invalid_file")
        user = self._user(database)
        for table, piece in (("folder", _folder), ("memory", _memory), ("model", _persona), ("prompt", _persona)):
            if table in tables:
                for row in self._rows_of(database, f'SELECT * FROM "{table}" WHERE user_id = ?', (user,)):
                    yield from piece(row)
        for (title,) in database.execute(
            "SELECT title FROM chat WHERE user_id = ? AND length(chat) > ?", (user, LARGEST)
        ):
            yield Left(kind="conversations", name=str(title), reason=f"it is larger than {LARGEST // 2**20} MB")
        sql = "SELECT * FROM chat WHERE user_id = ? AND length(chat) <= ? ORDER BY created_at, id"
        for row in self._rows_of(database, sql, (user, LARGEST)):
            yield from _piece(row)

    def _rows_of(
        self, database: "apsw.Connection", sql: str, values: tuple[str | int, ...]
    ) -> Iterator[dict[str, Any]]:
        """Rows by column, with their JSON read."""
        cursor = database.execute(sql, values)
        for row in cursor:
            self._archive.count_row(sum(len(value) for value in row if isinstance(value, str)))
            yield {column[0]: _maybe_json(value) for column, value in zip(cursor.description_full, row, strict=True)}

    def _user(self, database: "apsw.Connection") -> str:
        """Whose chats are meant: those of whoever has this sign-in name, else of the only one who has any."""
        sql = 'SELECT u.id, u.email FROM "user" u WHERE EXISTS (SELECT 1 FROM chat c WHERE c.user_id = u.id)'
        people = [(str(each), str(email or "").lower()) for each, email in database.execute(sql)]
        mine = [each for each, email in people if email and email == self._login.lower()]
        if mine:
            return mine[0]
        if len(people) == 1:
            return people[0][0]
        raise BadRequest(
            "Several people have chats in this webui.db, and none has your sign-in name. Export your chats in Open "
            "WebUI instead: Settings > Data Controls > Export Chats.",
            code="several_people",
        )


def _maybe_json(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _piece(element: Any) -> Iterator[Piece]:
    one = mapping(element)
    if isinstance(element, Broken):
        yield Left(kind="conversations", name="", reason=element.reason)
    elif isinstance(one.get("chat"), dict):
        yield _talk(one, one["chat"])
    elif "history" in one and "models" in one:
        yield _talk(one, one)
    elif ("command" in one and "content" in one) or "base_model_id" in one or "params" in one:
        yield from _persona(one)
    elif "content" in one and "user_id" in one:
        yield from _memory(one)
    elif "parent_id" in one and "name" in one:
        yield from _folder(one)
    else:
        name = text(one.get("title") or one.get("name"))
        yield Left(kind="conversations", name=name, reason="it is nothing of Open WebUI's that is known")


def _folder(one: Mapping[str, Any]) -> Iterator[Piece]:
    instructions = text(mapping(one.get("data")).get("system_prompt"))
    created = moment(one.get("created_at"))
    yield Shelf(
        id=identity(one.get("id")), name=text(one.get("name")) or "Folder", instructions=instructions, created=created
    )


def _memory(one: Mapping[str, Any]) -> Iterator[Piece]:
    yield Fact(text=text(one.get("content")).strip(), created=moment(one.get("created_at")))


def _persona(one: Mapping[str, Any]) -> Iterator[Piece]:
    yield Persona(name=text(one.get("name") or one.get("title") or one.get("command")), content=as_json([one]))


def _talk(one: Mapping[str, Any], chat: Mapping[str, Any]) -> Talk:
    history = mapping(chat.get("history"))
    nodes = history.get("messages")
    models = [each for each in listed(chat.get("models")) if isinstance(each, str)]
    model = models[0] if models else ""
    messages: list[Said] = []
    if isinstance(nodes, dict) and nodes:
        for key, each in nodes.items():
            messages.append(_said(key, mapping(each), identity(mapping(each).get("parentId")) or None, model))
    else:
        for number, each in enumerate(map(mapping, listed(chat.get("messages")))):
            above = messages[-1].id if messages else None
            messages.append(_said(identity(each.get("id")) or str(number), each, above, model))
    title = text(one.get("title")) or text(chat.get("title"))
    return Talk(
        id=identity(one.get("id") or chat.get("id")) or as_json([title, one.get("created_at"), len(messages)]),
        title=title,
        created=moment(one.get("created_at") or chat.get("timestamp")),
        updated=moment(one.get("updated_at")),
        messages=messages,
        current=identity(history.get("currentId")) or None,
        folder=identity(one.get("folder_id")) or None,
        pinned=one.get("pinned") in (True, 1),
        instructions=text(mapping(chat.get("params")).get("system")).strip(),
    )


def _said(key: str, one: Mapping[str, Any], parent: str | None, model: str) -> Said:
    role = text(one.get("role"))
    whole = parts_text(one.get("content"))
    if role == "assistant":
        items = list(_output(listed(one.get("output")))) or list(_answered(whole))
    else:
        items = [asked(whole, role="user" if role == "user" else "developer")] if whole.strip() else []
    return Said(
        id=key,
        parent=parent,
        role="assistant" if role == "assistant" else "user" if role == "user" else "system",
        items=items,
        created=moment(one.get("timestamp")),
        model=text(one.get("model")) or (model if role == "assistant" else ""),
        files=list(_files(key, one)),
        rating=_rating(mapping(one.get("annotation")).get("rating")),
    )


def _rating(value: Any) -> int:
    return {1: 1, "1": 1, -1: -1, "-1": -1}.get(value, 0) if isinstance(value, (int, str)) else 0


def _output(items: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The items of newer versions, which look like those of the Responses API."""
    for each in map(mapping, items):
        kind, whole = each.get("type"), parts_text(each.get("content"))
        if kind == "message" and whole.strip():
            yield answered(whole)
        elif kind == "reasoning" and (whole or parts_text(each.get("summary"))).strip():
            yield thought(whole or parts_text(each.get("summary")))
        elif kind == "function_call":
            key = identity(each.get("call_id"))
            yield called(SOURCE, text(each.get("name")), arguments(each.get("arguments")), key=key)
        elif kind == "function_call_output":
            yield resulted(parts_text(each.get("output")), key=identity(each.get("call_id")))


def _answered(whole: str) -> Iterator[dict[str, Any]]:
    """An answer with what its model thought and called among its text, as older versions have it."""
    for tag, inside in _tagged(whole, _DETAILS, "details"):
        told = dict(_ATTRIBUTE.findall(tag))
        said = html.unescape(_SUMMARY.sub("", inside)).strip()
        if told.get("type") == "reasoning":
            lines = (line.removeprefix(">").removeprefix(" ") for line in said.splitlines())
            yield from [thought("\n".join(lines))] if said else []
        elif told.get("type") == "tool_calls":
            given, brought = (html.unescape(told.get(name, "")) for name in ("arguments", "result"))
            yield called(SOURCE, told.get("name", ""), arguments(_maybe_text(given)), _maybe_text(brought) or said)
        else:
            yield from _thinking(f"<details{tag}>{inside}</details>" if tag else inside)


def _tagged(whole: str, opening: re.Pattern[str], name: str = "") -> Iterator[tuple[str, str]]:
    """A text cut at its tags: (what stands in the tag, what it holds), and ("", text) for what is in none."""
    at = 0
    while (found := opening.search(whole, at)) is not None:
        closing = f"</{name or found.group(1)}>"
        end = whole.find(closing, found.end())
        if end < 0:
            break
        yield "", whole[at : found.start()]
        yield found.group(1), whole[found.end() : end]
        at = end + len(closing)
    yield "", whole[at:]


def _maybe_text(value: str) -> str:
    """A text that may be JSON of a text."""
    loaded = _maybe_json(f"[{value}]")
    return loaded[0] if isinstance(loaded, list) and loaded and isinstance(loaded[0], str) else value


def _thinking(whole: str) -> Iterator[dict[str, Any]]:
    for tag, inside in _tagged(whole, _THINK):
        if inside.strip():
            yield thought(inside.strip()) if tag else answered(inside.strip())


def _files(key: str, one: Mapping[str, Any]) -> Iterator[Attached]:
    content = [mapping(each) for each in listed(one.get("content"))]
    urls = [text(mapping(each.get("image_url")).get("url")) for each in content if each.get("type") == "image_url"]
    told = [mapping(each) for each in listed(one.get("files"))] + [{"type": "image", "url": url} for url in urls if url]
    for number, each in enumerate(told):
        if each.get("type") in ("collection", "web_search", "note", "chat"):
            continue
        inner = mapping(each.get("file"))
        name = text(each.get("name")) or text(inner.get("filename")) or text(mapping(inner.get("meta")).get("name"))
        if picture := _picture(text(each.get("url"))):
            kind, data = picture
            named = name or f"picture {number + 1}.{_EXTENSIONS.get(kind, 'img')}"
            yield Attached(key=f"{key} {number}", filename=named, content_type=kind, content=data)
            continue
        said = text(mapping(inner.get("data")).get("content"))
        own = identity(each.get("id") or inner.get("id")) or f"{key} {number}"
        yield Attached(
            key=own,
            filename=f"{name}.txt" if said and not name.endswith((".txt", ".md")) else name or own,
            content_type="text/plain" if said else "",
            content=said.encode("utf-8", "replace") if said else None,
        )


def _picture(url: str) -> tuple[str, bytes] | None:
    found = _DATA_URL.match(url)
    if found is None or len(url) > _LARGEST_PICTURE * 4 // 3:
        return None
    try:
        return found.group(1).lower(), base64.b64decode(url[found.end() :], validate=True)
    except binascii.Error:
        return None
