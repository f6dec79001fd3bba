"""Claude's export: conversations.json, projects, and what it remembers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from portal.exchange.archive import Archive
from portal.exchange.elements import Broken, elements
from portal.exchange.fields import arguments, identity, listed, mapping, moment, parts_text, text
from portal.exchange.shape import (
    Attached,
    Fact,
    Left,
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

SOURCE = "claude"
_NOBODY = "00000000-0000-4000-8000-000000000000"
_OWN = ("projects.json", "memories.json")
_NO_TALK = ("users.json", "login.json")
_LONGEST_FACT = 1500


class Claude:
    """Reads one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._members = {PurePosixPath(name).name: name for name in archive.names() if archive.is_zip}

    def pieces(self) -> Iterator[Piece]:
        """All that is in it, projects first."""
        names = [name for name in self._archive.names() if name.endswith(".json") or not self._archive.is_zip]
        names.sort(key=lambda name: not _is_project(name))
        for name in names:
            if PurePosixPath(name).name in _NO_TALK:
                continue
            with self._archive.open(name) as file:
                for element in elements(file):
                    yield from self._piece(element)

    def _piece(self, element: Any) -> Iterator[Piece]:
        one = mapping(element)
        if isinstance(element, Broken):
            yield Left(kind="conversations", name="", reason=element.reason)
        elif isinstance(one.get("chat_messages"), list):
            yield self._talk(one)
        elif "conversations_memory" in one or "project_memories" in one:
            yield from _facts(one)
        elif "prompt_template" in one or "docs" in one or "is_starter_project" in one:
            yield from _shelf(one)
        elif "conversations" in one and isinstance(one["conversations"], list):
            for each in one["conversations"]:
                yield from self._piece(each)
        else:
            name = text(one.get("name") or one.get("title"))
            yield Left(kind="conversations", name=name, reason="it is no conversation of Claude")

    def _talk(self, one: Mapping[str, Any]) -> Talk:
        messages = [mapping(each) for each in one["chat_messages"]]
        linked = any(each.get("parent_message_uuid") for each in messages)
        said: list[Said] = []
        for number, each in enumerate(messages):
            key = identity(each.get("uuid")) or f"message {number}"
            above = text(each.get("parent_message_uuid"))
            before = said[-1].id if said else None
            said.append(self._said(key, each, (None if above == _NOBODY else above or None) if linked else before))
        project = mapping(one.get("project"))
        return Talk(
            id=identity(one.get("uuid")) or text(one.get("name")),
            title=text(one.get("name")),
            created=moment(one.get("created_at")),
            updated=moment(one.get("updated_at")),
            messages=said,
            current=identity(one.get("current_leaf_message_uuid")) or None,
            folder=identity(project.get("uuid") or one.get("project_uuid")) or None,
            pinned=one.get("is_starred") is True,
        )

    def _said(self, key: str, one: Mapping[str, Any], parent: str | None) -> Said:
        human = one.get("sender") in ("human", "user")
        files = [*_pasted(key, one), *self._files(key, one)]
        items = list(_items(one, human=human))
        return Said(
            id=key,
            parent=parent,
            role="user" if human else "assistant",
            items=items,
            created=moment(one.get("created_at")),
            model=text(one.get("model")),
            files=files,
        )

    def _files(self, key: str, one: Mapping[str, Any]) -> Iterator[Attached]:
        seen = set()
        for number, each in enumerate([*listed(one.get("files")), *listed(one.get("files_v2"))]):
            told = mapping(each)
            name, own = text(told.get("file_name")), identity(told.get("file_uuid") or told.get("uuid"))
            if (own or name) in seen:
                continue
            seen.add(own or name)
            member = next((self._members[each] for each in (own, name) if each in self._members), "")
            yield Attached(key=own or f"{key} {number}", filename=name or own, member=member)


def _is_project(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name in _OWN or "projects" in path.parts[:-1]


def _items(one: Mapping[str, Any], *, human: bool) -> Iterator[dict[str, Any]]:
    blocks = [mapping(each) for each in listed(one.get("content"))]
    whole = text(one.get("text"))
    if human:
        said = "\n\n".join(text(each.get("text")) for each in blocks if each.get("type") == "text") or whole
        if said.strip():
            yield asked(said)
        return
    if not any(each.get("type") == "text" and each.get("text") for each in blocks) and whole.strip():
        blocks = [*blocks, {"type": "text", "text": whole}]
    for each in blocks:
        kind = each.get("type")
        if kind == "text" and text(each.get("text")).strip():
            yield answered(text(each.get("text")))
        elif kind in ("thinking", "redacted_thinking") and text(each.get("thinking")).strip():
            yield thought(text(each.get("thinking")))
        elif kind == "tool_use":
            yield called(SOURCE, text(each.get("name")), arguments(each.get("input")), key=identity(each.get("id")))
        elif kind == "tool_result":
            key = identity(each.get("tool_use_id"))
            yield resulted(parts_text(each.get("content")), key=key, name=text(each.get("name")))


def _pasted(key: str, one: Mapping[str, Any]) -> Iterator[Attached]:
    """Documents, of which the export has the text."""
    for number, each in enumerate(listed(one.get("attachments"))):
        told = mapping(each)
        name, content = text(told.get("file_name")) or "pasted.txt", text(told.get("extracted_content"))
        plain = name if name.endswith((".txt", ".md", ".csv", ".json", ".py", ".html")) else f"{name}.txt"
        yield Attached(
            key=f"{key} pasted {number}",
            filename=plain if content else name,
            content_type="text/plain" if content else "",
            content=content.encode("utf-8", "replace") if content else None,
            created=moment(told.get("created_at") or one.get("created_at")),
        )


def _shelf(one: Mapping[str, Any]) -> Iterator[Piece]:
    name = text(one.get("name")) or "Project"
    if one.get("is_starter_project") is True:
        yield Left(kind="folders", name=name, reason="it is an example of Claude's own")
        return
    key = identity(one.get("uuid")) or name
    docs = [mapping(each) for each in listed(one.get("docs"))]
    yield Shelf(
        id=key,
        name=name,
        instructions="\n\n".join(filter(None, (text(one.get("prompt_template")), text(one.get("description"))))),
        created=moment(one.get("created_at")),
        files=[_doc(key, number, each) for number, each in enumerate(docs)],
    )


def _doc(project: str, number: int, one: Mapping[str, Any]) -> Attached:
    return Attached(
        key=identity(one.get("uuid")) or f"{project} {number}",
        filename=text(one.get("filename")) or f"document {number + 1}.txt",
        content_type="text/plain",
        content=text(one.get("content")).encode("utf-8", "replace"),
        created=moment(one.get("created_at")),
    )


def _facts(one: Mapping[str, Any]) -> Iterator[Fact]:
    """What Claude remembers is one long text: a paragraph is a memory."""
    texts = [text(one.get("conversations_memory")), *map(text, mapping(one.get("project_memories")).values())]
    for whole in texts:
        for paragraph in paragraphs(whole):
            yield Fact(text=paragraph)


def paragraphs(whole: str) -> Sequence[str]:
    """The paragraphs of a text without headings, long ones cut where a sentence ends."""
    found: list[str] = []
    for block in whole.split("\n\n"):
        for line in map(str.strip, block.splitlines()):
            if line.startswith("#") or (line.startswith("**") and line.endswith("**")) or not line.strip("*_- "):
                continue
            line = line.removeprefix("- ").removeprefix("* ").strip()
            while len(line) > _LONGEST_FACT:
                cut = line.rfind(". ", 0, _LONGEST_FACT) + 1 or _LONGEST_FACT
                found.append(line[:cut].strip())
                line = line[cut:].strip()
            found.append(line)
    return found
