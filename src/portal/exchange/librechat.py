"""LibreChat's export: a conversation a file, its messages below each other or in a row."""

from collections.abc import Iterator, Mapping
from typing import Any

from portal.exchange.archive import Archive
from portal.exchange.elements import Broken, elements
from portal.exchange.fields import arguments, as_json, identity, listed, mapping, moment, text
from portal.exchange.shape import Attached, Left, Piece, Said, Talk, answered, asked, called, thought

SOURCE = "librechat"
_NOBODY = "00000000-0000-0000-0000-000000000000"
_RATINGS = {"thumbsup": 1, "thumbsdown": -1}


class LibreChat:
    """Reads one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def pieces(self) -> Iterator[Piece]:
        """All that is in it."""
        for name in self._archive.names():
            if name.endswith((".json", ".jsonl")) or not self._archive.is_zip:
                with self._archive.open(name) as file:
                    for element in elements(file):
                        yield _piece(element)


def _piece(element: Any) -> Piece:
    if isinstance(element, Broken):
        return Left(kind="conversations", name="", reason=element.reason)
    one = mapping(element)
    nodes = one.get("messages") if isinstance(one.get("messages"), list) else one.get("messagesTree")
    title = text(one.get("title"))
    if not isinstance(nodes, list) or not identity(one.get("conversationId")):
        return Left(kind="conversations", name=title, reason="it is no conversation of LibreChat")
    options = mapping(one.get("options"))
    messages = list(_flat(nodes))
    return Talk(
        id=identity(one.get("conversationId")),
        title=title,
        created=moment(one.get("createdAt")) or min((each.created for each in messages if each.created), default=None),
        updated=moment(one.get("updatedAt")) or max((each.created for each in messages if each.created), default=None),
        messages=messages,
        pinned=one.get("isPinned") is True,
        instructions=text(options.get("promptPrefix") or one.get("promptPrefix")).strip(),
    )


def _flat(nodes: list[Any]) -> Iterator[Said]:
    """Every message, however deep it lies: one that lies below another follows that."""
    waiting: list[tuple[Any, str | None]] = [(each, None) for each in reversed(nodes)]
    before: str | None = None
    number = 0
    while waiting:
        node, above = waiting.pop()
        one = mapping(node)
        key = identity(one.get("messageId") or one.get("_id")) or f"message {number}"
        number += 1
        named = identity(one.get("parentMessageId"))
        if above is None:
            above = before if not named and "parentMessageId" not in one else named
        yield _said(key, one, None if above == _NOBODY else above or None)
        before = key
        waiting += [(each, key) for each in reversed(listed(one.get("children")))]


def _said(key: str, one: Mapping[str, Any], parent: str | None) -> Said:
    human = one.get("isCreatedByUser") is True or text(one.get("sender")).lower() == "user"
    items = [asked(_asked(one))] if human and _asked(one) else [] if human else list(_answered(one))
    return Said(
        id=key,
        parent=parent,
        role="user" if human else "assistant",
        items=items,
        created=moment(one.get("createdAt")),
        model="" if human else text(one.get("model")),
        files=[_file(f"{key} {number}", mapping(each)) for number, each in enumerate(_attached(one))],
        rating=_RATINGS.get(text(mapping(one.get("feedback")).get("rating")).lower(), 0),
    )


def _attached(one: Mapping[str, Any]) -> list[Any]:
    parts = [mapping(each) for each in listed(one.get("content"))]
    pictures = [mapping(each.get("image_file")) for each in parts if each.get("type") == "image_file"]
    return [*listed(one.get("files")), *listed(one.get("attachments")), *pictures]


def _file(key: str, one: Mapping[str, Any]) -> Attached:
    said = text(one.get("text"))
    name = text(one.get("filename"))
    return Attached(
        key=identity(one.get("file_id")) or key,
        filename=f"{name}.txt" if said and not name.endswith((".txt", ".md")) else name or "file",
        content_type="text/plain" if said else text(one.get("type")),
        content=said.encode("utf-8", "replace") if said else None,
    )


def _asked(one: Mapping[str, Any]) -> str:
    parts = [_words(mapping(each)) for each in listed(one.get("content"))]
    return (text(one.get("text")) or "\n\n".join(filter(None, parts))).strip()


def _words(part: Mapping[str, Any]) -> str:
    """A part's text, which newer versions put one level deeper."""
    inner = part.get("text")
    return text(inner) or text(mapping(inner).get("value"))


def _answered(one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parts = [mapping(each) for each in listed(one.get("content"))]
    if not parts:
        if text(one.get("text")).strip():
            yield answered(text(one.get("text")))
        return
    for part in parts:
        kind = part.get("type")
        if kind in ("text", "output_text") and _words(part).strip():
            yield answered(_words(part))
        elif kind in ("think", "thinking") and text(part.get("think") or part.get("thinking")).strip():
            yield thought(text(part.get("think") or part.get("thinking")))
        elif kind == "tool_call":
            call = mapping(part.get("tool_call"))
            inner = mapping(call.get("function"))
            given = call.get("args") or inner.get("arguments")
            brought = call.get("output") if "output" in call else inner.get("output")
            said = brought if isinstance(brought, str) else as_json(brought) if brought else ""
            yield called(SOURCE, text(call.get("name") or inner.get("name")), arguments(given), said)
        elif kind == "error" and text(part.get("error")).strip():
            yield answered(text(part.get("error")))
