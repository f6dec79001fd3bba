"""Tools as the core knows them: what they are, what a call of one is told, and what it brings back."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from portal.core.items import Item, JsonObject
from portal.core.media import Picture
from portal.core.tracing import Span, here

Risk: TypeAlias = Literal["read", "fetch", "write", "execute", "network", "spend"]
"""What a tool may do to the world: `read` looks only, `fetch` reads the public web, `network` reaches anything else
or sends something out, `spend` costs money."""
Scope: TypeAlias = Literal["path", "url", "source"]
"""What an argument names: a place on this machine, an address, or either, as git takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """One tool, as models and people see it."""

    name: str
    """As a model calls it: up to 64 letters, digits, `_` and `-`; unique among all toolsets."""
    description: str
    parameters: JsonObject = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema (2020-12) of an object."""
    risk: Risk
    toolset: str
    """The family or server it belongs to."""
    title: str = ""
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    """Which arguments say where it acts, so that a person can allow a folder or a domain."""
    timeout: float | None = None
    """Seconds; None leaves it to the settings."""
    idempotent: bool = False
    """Whether it does no harm to run a call again whose answer was lost."""
    untrusted: bool = False
    """Whether its results hold what strangers wrote."""
    foreign: bool = False
    """Whether its description is a stranger's: a model that reads it may do what it says."""
    harmless: bool = False
    """Whether what it changes is small and easily taken back: nobody is asked, unless the conversation has read what
    strangers wrote."""
    stoppable: bool = True
    """Whether cancelling a call stops the work; else it may go on unseen, and a model is told so."""
    since: int = 0
    """When what it runs became what it is, in microseconds UTC: what people allowed before that does not hold."""
    question: bool = False
    """Whether the call is a question to the person: it never runs, its answer is the result."""
    fits: Callable[[str], bool] | None = None
    """For a tool that its description's words cannot choose: whether a model is shown it for this request."""
    each: bool = False
    """Whether a person is asked for every call: a yes holds for no other."""
    foretold: Callable[[JsonObject], str] | None = None
    """What a call with these arguments would come to, for the person who is asked. Raises PortalError where it can
    come to nothing; then nobody is asked."""
    within: Callable[[Sequence[str]], str] | None = field(default=None, compare=False)
    """For a tool whose description lists things of which a workspace may be given some: what it says where only those
    of these patterns are."""
    after: str = ""
    """Name of the tool that has to be called before a model is shown this one."""

    @property
    def conditional(self) -> bool:
        """Whether it is shown for reasons of its own, never because its words fit."""
        return self.fits is not None or bool(self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFile:
    """A file that a tool made."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a call brought."""

    text: str = ""
    """For the model. Longer than the bound, it is cut there and kept whole as a file."""
    failed: bool = False
    """The tool could not do it; the text says why in words that a model can act on."""
    files: Sequence[ToolFile] = ()
    """Kept as the user's; pictures among them are shown to models that can see."""
    untrusted: bool = False
    """Whether it holds what strangers wrote, where the tool's spec does not say so already."""
    kept: Sequence[JsonObject] = ()
    """Files of the user's that it is about, kept before: {file_id, filename, content_type, size}."""
    tokens: int = 0
    """What models read and wrote for it, which counts towards the bound of the turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who calls, and where from."""

    owner: str
    call_id: str
    """The id of the call's item: a key that no two executions share."""
    response_id: str
    workspace: str
    conversation_id: str | None = None
    folder: Path
    """A folder of this conversation's own, for files that its tools make and use; it may not exist yet."""
    earlier: Callable[[], Sequence[Item]] = tuple
    """The items of the conversation on the way to this call, and those of its own turn, this call among them."""
    inside: bool = False
    """Whether its turn is a task that another turn gave."""
    tainted_at: int | None = None
    """When the conversation first read what strangers wrote, in microseconds UTC."""
    parts: Sequence[str] = ("*",)
    """Patterns of what of its family the workspace has, where that is a collection of things, such as skills."""
    wary: bool = False
    """Whether the model that calls was shown what strangers wrote of their tools."""
    report: Callable[[str], None] = lambda detail: None
    """Says in a few words how far it is."""
    preview: Callable[[Picture, float], None] = lambda picture, share: None
    """Shows what it makes as it looks now, and the share of the work that is done."""
    wishes: Mapping[str, str] = field(default_factory=dict)
    """What the client wants of every picture, whatever the model says: arguments of the picture tools."""
    asking: Callable[[str], None] | None = None
    """Says that a person is asked something in the middle of the call: an approval's id. None: nobody can be asked."""
    held: Callable[[], AbstractContextManager[None]] = nullcontext
    """Within it the clock of the call's deadline stands still."""
    allowed: Callable[[str], bool] = lambda url: True
    """Whether policies let the call go on to an address that it was led to."""
    span: Span = field(default_factory=here, repr=False, compare=False)
    """The call, for what is done for it elsewhere."""


def sound(returned: object) -> ToolResult:
    """What a toolset gave back, where its fields are what they should be, else a failure that says so."""
    if isinstance(returned, ToolResult):
        plain = isinstance(returned.text, str) and isinstance(returned.tokens, int)
        flags = isinstance(returned.failed, bool) and isinstance(returned.untrusted, bool)
        files = isinstance(returned.files, Sequence) and all(_is_file(one) for one in returned.files)
        kept = isinstance(returned.kept, Sequence) and all(isinstance(one, dict) for one in returned.kept)
        if plain and flags and files and kept:
            return returned
    return failure("The tool ran, but what it gave back is no proper result; its author has to mend it.")


def _is_file(made: object) -> bool:
    return (
        isinstance(made, ToolFile)
        and isinstance(made.name, str)
        and isinstance(made.content_type, str)
        and isinstance(made.data, bytes | bytearray)
    )


def text_result(text: str) -> ToolResult:
    """A result that is only text."""
    return ToolResult(text=text)


def failure(text: str) -> ToolResult:
    """A result that says why it did not work."""
    return ToolResult(text=text, failed=True)
