"""Changes of a conversation: which fields may change, to what, and the statement that does it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.errors import BadRequest, NotFound, PortalError
from portal.storage.rows import CONVERSATION, to_json

SELECT_FOLDER = "SELECT 1 FROM folders WHERE id = :folder_id AND owner = :owner"
SELECT_HEAD = "SELECT 1 FROM responses WHERE id = :head AND conversation_id = :conversation_id AND owner = :owner"

# What was made last below a response has nothing below it.
NEWEST_BELOW = """(
    WITH RECURSIVE below (id, created_at) AS (
        SELECT id, created_at FROM responses WHERE id = :head
        UNION ALL
        SELECT r.id, r.created_at FROM below CROSS JOIN responses r
        WHERE r.conversation_id = :conversation_id AND COALESCE(r.previous_id, '') = COALESCE(below.id, '')
    )
    SELECT id FROM below ORDER BY created_at DESC, id DESC LIMIT 1
)"""

UPDATE = f"""
UPDATE conversations SET {{changes}}
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL RETURNING {CONVERSATION}"""


@dataclass(frozen=True, slots=True)
class Change:
    """What to run: checks that must each find one row, then the update."""

    sql: str
    args: Mapping[str, object]
    checks: Sequence[tuple[str, PortalError]]


def change_of(changes: Mapping[str, object]) -> Change:
    """Raises BadRequest for a field that cannot be changed, or a value it cannot have."""
    for name, value in changes.items():
        if name not in _FITS or not _FITS[name](value):
            raise BadRequest(f"A conversation's {name} cannot be {value!r}.", param=name)
    checks: list[tuple[str, PortalError]] = []
    if changes.get("folder_id") is not None:
        checks.append((SELECT_FOLDER, NotFound(f"There is no folder {changes['folder_id']!r}.", param="folder_id")))
    if "head" in changes:
        checks.append((SELECT_HEAD, NotFound(f"There is no response {changes['head']!r} in it.", param="head")))
    sets = (f"{name} = {NEWEST_BELOW if name == 'head' else ':' + name}" for name in changes)
    args = {name: _STORED.get(name, _as_is)(value) for name, value in changes.items()}
    return Change(UPDATE.format(changes=", ".join(sets)), args, checks)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _maybe_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _as_is(value: object) -> object:
    return value


_FITS: Mapping[str, Callable[[object], bool]] = {
    "title": _text,
    "title_source": lambda value: value in ("none", "model", "user"),
    "pinned": lambda value: isinstance(value, bool),
    "folder_id": _maybe_text,
    "model": _maybe_text,
    "metadata": lambda value: isinstance(value, dict),
    "head": _text,
}
_STORED: Mapping[str, Callable[[object], object]] = {"pinned": lambda value: int(bool(value)), "metadata": to_json}
