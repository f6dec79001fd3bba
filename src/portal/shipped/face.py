"""What a shipped tool server is: families of tools under a name. Its folder in `mcp/` holds one of these, no logic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Where: TypeAlias = Literal["own", "given"]
"""The folder that its tools work in: one of the server's own, or the first that a person gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One server."""

    name: str
    title: str
    instructions: str
    """For the model: what its tools are good for together."""
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Modules of `portal.tools` with the names of their tools that it has; all of them where none is named."""
    stores: Sequence[str] = ()
    """Families of tools over Portal's own stores: `knowledge`, `memory`. They work without a running Portal, too."""
    makes: Sequence[str] = ()
    """Families that make things as jobs of Portal's: `images`, `video`, `music`. They work without a running Portal,
    too."""
    relays: bool = False
    """Its tools are those of the Portal that runs."""
    where: Where = "own"
    sandbox: bool = False
    """Whether its tools run programs in the sandbox."""
