"""Names that clients hard-code, and the models or workspaces that the user put behind them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase


def resolved(name: str, aliases: Mapping[str, str]) -> str:
    """What is behind a name: an alias of just this name, else that of the first pattern that fits, else itself."""
    if name in aliases:
        return aliases[name]
    return next((target for pattern, target in aliases.items() if fnmatchcase(name, pattern)), name)
