"""What a turn is told of the user's own: the port that knowledge and memory implement, each for itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from portal.core.ask import override
from portal.core.decision import Route
from portal.core.items import Item, JsonObject, text_of
from portal.core.workspaces import Workspace

_EXCERPT = 400
"""Characters of the answer before, which a question may mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeking:
    """A turn that is about to begin."""

    owner: str
    text: str
    """What the user says now, alone."""
    before: str = ""
    """What was said just before, for a question that only makes sense with it."""
    workspace: Workspace
    """With a plain model id one that has no knowledge and no memory: it recalls only what its request asks for."""
    conversation_id: str | None = None
    folder_id: str | None = None
    response_id: str
    shelves: Sequence[str] = ()
    """Where the long files of the conversation's folder and its own are kept, if there are some."""
    room: int = 0
    """Tokens that may be told, of the model's window."""
    request: JsonObject = field(default_factory=dict)
    """The Responses request's other fields, such as `include`."""
    private: bool = False
    """Whether memory stays out of it."""
    kept: bool = True
    """Whether the text was said in this very turn by a person, and is stored: only then it may have lasting effects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What was found for it."""

    text: str = ""
    """For the system message, before all sources; empty where there is nothing to say."""
    items: Sequence[Item] = ()
    """Output items that say so, completed; they come before the answer and are stored with it."""
    untrusted: bool = False
    """Whether the text holds what strangers wrote."""
    sources: Sequence["Source"] = ()
    """What the answer may cite: told behind the text, best first, numbered among those of everybody who recalls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a number in brackets stands for."""

    passage_id: str
    document_id: str
    """Id of the file."""
    title: str
    """Its file name."""
    text: str
    """What it says, as the model is to read it."""
    page: int | None = None


class Recall(Protocol):
    """Looks for what bears on a turn, before its model is called. Several run side by side."""

    looks: str
    """Where: `knowledge` or `memory`."""

    async def recall(self, seeking: Seeking) -> Recalled:
        """Within its own deadline; what fails is logged and found nothing, it never fails the turn."""


class Learning(Protocol):
    """Looks at turns that are over."""

    def begin(self, group: asyncio.TaskGroup, seeking: Seeking, route: Route) -> None:
        """See what there is to learn from what was said, as a task of `group`; never waits. `route` is what answered,
        with nobody to fall back on."""

    def cancel(self) -> None:
        """Give up what is under way."""


def heard(items: Sequence[Item]) -> tuple[str, str]:
    """What the user says last in these items, without the model it may name; and what was said just before."""
    said = [item for item in items if item["type"] == "message" and item["role"] in ("user", "assistant")]
    last = max((at for at, item in enumerate(said) if item["role"] == "user"), default=None)
    if last is None:
        return "", ""
    return _heard(said[last]), "\n".join(_heard(item) for item in said[max(last - 2, 0) : last])


def _heard(item: Item) -> str:
    text = text_of(item)
    if item["role"] != "user":
        return text[:_EXCERPT]
    named = override([{"role": "user", "content": text}])
    return str(named[1][0]["content"]) if named else text


def file_search(request: JsonObject) -> JsonObject | None:
    """The `file_search` tool that a Responses request brings and lets be used."""
    if request.get("tool_choice") == "none":
        return None
    return next((tool for tool in request.get("tools") or () if tool.get("type") == "file_search"), None)
