"""What an upload is: told from what is in it, not from what it is called."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Protocol

from portal.core.exchange import Source
from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.chatgpt import LISTS, ChatGPT
from portal.exchange.claude import Claude
from portal.exchange.elements import Broken, elements
from portal.exchange.fields import mapping
from portal.exchange.librechat import LibreChat
from portal.exchange.openwebui import OpenWebUI
from portal.exchange.own import MANIFEST, Own
from portal.exchange.shape import Piece

_LOOKED_AT = 20
"""Values of a file, and files, that are looked at."""
_UNKNOWN = (
    "This is no export that Portal knows: that of ChatGPT or Claude (the zip as it came, or conversations.json), of "
    "Open WebUI (chats as JSON, or webui.db), of LibreChat (JSON), or of a Portal (zip)."
)


class Export(Protocol):
    """An export that can be read."""

    def pieces(self) -> Iterator[Piece]:
        """All that is in it, a piece at a time. Raises BadRequest for what is damaged."""


def reader(archive: Archive, source: Source, *, owner: str, login: str = "") -> Export:
    """What reads an export of this program."""
    if source == "portal":
        return Own(archive, owner)
    if source == "openwebui":
        return OpenWebUI(archive, login)
    readers: dict[str, Callable[[Archive], Export]] = {"chatgpt": ChatGPT, "claude": Claude, "librechat": LibreChat}
    return readers[source](archive)


def recognised(archive: Archive) -> Source:
    """Which program's export it is. Raises BadRequest for one that is not known."""
    if archive.size == 0:
        raise BadRequest("The file is empty.", code="invalid_file")
    if archive.is_database:
        return "openwebui"
    if archive.find(MANIFEST):
        return "portal"
    names = [name for name in archive.names() if name.endswith((".json", ".jsonl")) or not archive.is_zip]
    names.sort(key=lambda name: LISTS.fullmatch(PurePosixPath(name).name) is None)
    for name in names[:_LOOKED_AT]:
        with archive.open(name) as file:
            found = _looked_at(file)
        if found:
            return found
    raise BadRequest(_UNKNOWN, code="unknown_export")


def _looked_at(file: Any) -> Source | None:
    try:
        first = [one for one in islice(elements(file), _LOOKED_AT) if not isinstance(one, Broken)]
    except ValueError:
        return None
    return next(filter(None, map(_source, first)), None)


def _source(element: Any) -> Source | None:
    one = mapping(element)
    if "mapping" in one:
        return "chatgpt"
    if "chat_messages" in one or "conversations_memory" in one or "prompt_template" in one:
        return "claude"
    if "conversationId" in one and ("messages" in one or "messagesTree" in one):
        return "librechat"
    if one.get("object") == "portal.conversation.export":
        return "portal"
    if isinstance(one.get("chat"), dict) or "history" in one or "base_model_id" in one:
        return "openwebui"
    if ("command" in one and "content" in one) or ("user_id" in one and "content" in one):
        return "openwebui"
    return None
