"""ChatGPT's export: conversations.json, or several of them, each conversation a tree of nodes, with files beside it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.elements import Broken, elements
from portal.exchange.fields import arguments, as_json, identity, listed, mapping, moment, parts_text, text
from portal.exchange.shape import (
    EMPTY,
    STRUCTURE,
    Attached,
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

SOURCE = "chatgpt"
LISTS = re.compile(r"conversations(?:[-_]\d+)?\.json")
_FILE_ID = re.compile(r"file[-_][A-Za-z0-9]+")
_MARKS = re.compile("\ue200[^\ue200\ue201]{0,500}\ue201|[\ue200-\ue206]")
"""What stands for citations, which only ChatGPT's page can show."""
_FEEDBACK = {"thumbs_up": 1, "thumbs_down": -1}
_LARGEST_FEEDBACK = 16 * 2**20
_POINTERS = ("audio_asset_pointer", "video_container_asset_pointer")
_UNSAID = {
    "reasoning_recap": "it only says how long the model thought",
    "model_editable_context": "it is what ChatGPT's own memory told the model",
}


class ChatGPT:
    """Reads one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._members = {
            found.group(): name
            for name in archive.names()
            if archive.is_zip and (found := _FILE_ID.match(PurePosixPath(name).name))
        }
        self._ratings: Mapping[str, int] = {}
        self._projects: set[str] = set()

    def pieces(self) -> Iterator[Piece]:
        """All that is in it."""
        self._ratings = self._rated()
        names = [name for name in self._archive.names() if LISTS.fullmatch(PurePosixPath(name).name)]
        for name in names or self._archive.names()[:1]:
            with self._archive.open(name) as file:
                for element in elements(file):
                    yield from self._piece(element)

    def _rated(self) -> Mapping[str, int]:
        name = self._archive.find("message_feedback.json")
        if name is None or self._archive.size_of(name) > _LARGEST_FEEDBACK:
            return {}
        try:
            with self._archive.open(name) as file:
                found = [mapping(one) for one in elements(file)]
        except (BadRequest, ValueError):
            return {}
        return {identity(one.get("id")): _FEEDBACK.get(text(one.get("rating")).lower(), 0) for one in found}

    def _piece(self, element: Any) -> Iterator[Piece]:
        if isinstance(element, Broken):
            yield Left(kind="conversations", name="", reason=element.reason)
            return
        one = mapping(element)
        nodes = one.get("mapping")
        title = text(one.get("title"))
        if not isinstance(nodes, dict):
            yield Left(kind="conversations", name=title, reason="it is no conversation of ChatGPT")
            return
        project = text(one.get("gizmo_id") or one.get("conversation_template_id"))
        project = project if project.startswith("g-p-") else ""
        if project and project not in self._projects:
            self._projects.add(project)
            yield Shelf(id=project, name=f"ChatGPT project {project[-6:]}")
        yield Talk(
            id=identity(one.get("conversation_id") or one.get("id")) or as_json([title, one.get("create_time")]),
            title=title,
            created=moment(one.get("create_time")),
            updated=moment(one.get("update_time")),
            messages=[
                self._said(key, mapping(node), text(one.get("default_model_slug"))) for key, node in nodes.items()
            ],
            current=identity(one.get("current_node")) or None,
            folder=project or None,
            pinned=one.get("is_starred") is True,
        )

    def _said(self, key: str, node: Mapping[str, Any], model: str) -> Said:
        parent = identity(node.get("parent")) or None
        message = node.get("message")
        if not isinstance(message, dict):
            return Said(id=key, parent=parent, role="system", items=(), skipped=STRUCTURE)
        content, meta = mapping(message.get("content")), mapping(message.get("metadata"))
        kind, author = text(content.get("content_type")), mapping(message.get("author"))
        role = text(author.get("role"))
        told = _instructions(content, meta)
        if told or kind in _UNSAID:
            skipped = "" if told else _UNSAID[kind]
            items = [asked(told, role="developer")] if told else []
            return Said(id=key, parent=parent, role="system", items=items, skipped=skipped)
        files = self._files(key, content, meta)
        items = list(_items(role, message, content, author, has_files=bool(files)))
        return Said(
            id=key,
            parent=parent,
            role="user" if role == "user" else "system" if role == "system" else "assistant",
            items=items,
            created=moment(message.get("create_time")),
            model=text(meta.get("model_slug")) or (model if role == "assistant" else ""),
            files=files,
            skipped="" if items or files else EMPTY,
            rating=self._ratings.get(key, 0) if role == "assistant" else 0,
        )

    def _files(self, key: str, content: Mapping[str, Any], meta: Mapping[str, Any]) -> Sequence[Attached]:
        """Pictures and recordings among the parts, then what was attached beside them."""
        names = {text(mapping(one).get("id")): mapping(one) for one in listed(meta.get("attachments"))}
        pointers = [pointer for part in listed(content.get("parts")) for pointer in _pointers(mapping(part))]
        found = list(dict.fromkeys([*map(_file_id, pointers), *names]))
        return [self._file(each, names.get(each, {})) for each in found if each]

    def _file(self, file_id: str, told: Mapping[str, Any]) -> Attached:
        member = self._members.get(file_id, "")
        inside = PurePosixPath(member).name.removeprefix(file_id).lstrip("-_") or PurePosixPath(member).name
        return Attached(
            key=file_id,
            filename=text(told.get("name")) or inside or file_id,
            content_type=text(told.get("mime_type") or told.get("mimeType")),
            member=member,
        )


def _pointers(part: Mapping[str, Any]) -> Iterator[str]:
    """Where a part's picture or sound is."""
    if text(part.get("asset_pointer")):
        yield text(part.get("asset_pointer"))
    for name in _POINTERS:
        inner = part.get(name)
        yield from [text(mapping(inner).get("asset_pointer"))] if isinstance(inner, dict) else []


def _file_id(pointer: str) -> str:
    found = _FILE_ID.match(pointer.rpartition("/")[2])
    return found.group() if found else ""


def _instructions(content: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """What a person had told ChatGPT about themselves and its answers."""
    if content.get("content_type") == "user_editable_context":
        about, how = text(content.get("user_profile")), text(content.get("user_instructions"))
    else:
        told = mapping(meta.get("user_context_message_data"))
        about, how = text(told.get("about_user_message")), text(told.get("about_model_message"))
    return "\n\n".join(one.strip() for one in (about, how) if one.strip())


def _items(
    role: str, message: Mapping[str, Any], content: Mapping[str, Any], author: Mapping[str, Any], *, has_files: bool
) -> Iterator[dict[str, Any]]:
    kind, said = text(content.get("content_type")), _MARKS.sub("", _text(content)).strip()
    recipient = text(message.get("recipient")) or "all"
    if kind == "thoughts":
        thoughts = [mapping(one) for one in listed(content.get("thoughts"))]
        whole = "\n\n".join(
            "\n\n".join(filter(None, (text(one.get("summary")), text(one.get("content"))))) for one in thoughts
        )
        if whole:
            yield thought(whole)
    elif role == "tool":
        if said or not has_files:
            yield resulted(said, name=text(author.get("name")))
    elif not said:
        return
    elif role == "assistant" and recipient != "all":
        yield called(SOURCE, recipient, arguments(said, "code" if recipient == "python" else "input"))
    elif role == "assistant":
        language = text(content.get("language")).replace("unknown", "")
        yield answered(f"```{language}\n{said}\n```" if kind == "code" else said)
    else:
        yield asked(said, role="user" if role == "user" else "developer")


def _text(content: Mapping[str, Any]) -> str:
    """What a content of any type says."""
    if isinstance(content.get("parts"), list):
        return parts_text(content["parts"])
    for name in ("text", "result", "content"):
        if isinstance(content.get(name), str):
            return text(content[name])
    return ""
