"""The turn that tool calls are made in, and calls as the model wrote them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from portal.core.items import Item
from portal.core.run import Run
from portal.core.toolbox import Offer
from portal.core.tools import ToolContext


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as the model wrote it."""

    name: str
    arguments: str


@dataclass(slots=True, kw_only=True)
class Scene:
    """The turn that calls are made in."""

    run: Run
    workspace: str
    offer: Offer
    asks: bool
    """Whether a person can be asked."""
    door: str
    root: str
    """Id of the first response of its chain: the name of its folder where it is in no conversation."""
    tainted_at: int | None = None
    """When the conversation first read what strangers wrote, in microseconds UTC."""
    earlier: Sequence[Item] = ()
    """What the conversation has so far."""
    parent: ToolContext | None = None
    """The call of another turn that gave this one its task."""
    repeats: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    misread: int = 0
    """Calls of this round that nobody could read: of an unknown tool, or with arguments that do not fit."""
    misses: int = 0
    """Rounds in a row of such calls alone."""
    tokens: int = 0
    """What models read and wrote for its calls."""

    @property
    def owner(self) -> str:
        """Whose turn it is."""
        return self.run.record.owner

    @property
    def wary(self) -> bool:
        """Whether the model, or the one that gave it this task, is shown what strangers wrote of their tools."""
        return self.offer.foreign or (self.parent is not None and self.parent.wary)

    @property
    def conversation_id(self) -> str | None:
        """The conversation, where it is in one."""
        return self.parent.conversation_id if self.parent else self.run.record.conversation_id


def tainted_at(items: Sequence[Item]) -> int | None:
    """When one of these items first brought what strangers wrote, or last said it themselves: what was allowed before
    such a message was not allowed with it in mind. Ids begin with their time (RFC 9562)."""
    read = [(_minted(item["id"]), item["type"] == "message") for item in items if _is_strange(item)]
    said = [at for at, is_message in read if is_message]
    return max(said) if said else min((at for at, _ in read), default=None)


def _is_strange(item: Item) -> bool:
    """A file that comes with a message is words of whoever wrote it."""
    content = item.get("content")
    brought = isinstance(content, list) and any(part.get("type") == "input_file" for part in content)
    return brought or bool(item.get("portal:untrusted"))


def _minted(item_id: str) -> int:
    return int(item_id.rpartition("_")[2][:12], 16) * 1000
