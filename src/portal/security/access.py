"""Which doors are open to whom: one table over all paths, asked by admission. What is not in it is everybody's."""

from portal.core.people import RANKS
from portal.core.records import Role
from portal.errors import Forbidden

MCP = "/mcp"
METRICS = "/metrics"
"""Open to this machine, closed to others."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
ADMINS = (
    "/portal/v1/activity",
    "/portal/v1/log",
    "/portal/v1/audit/",
    "/portal/v1/users",
    "/portal/v1/channels/pairings",
    "/portal/v1/pulls",
    "/portal/v1/turns",
    "/portal/v1/health",
    "/portal/v1/config",
    METRICS,
)
"""Of those who run this installation."""
ADMINS_WRITE = (
    "/portal/v1/backends",
    "/portal/v1/embedded",
    "/portal/v1/embedder",
    "/portal/v1/skills",
)
"""All may look, those change."""
WATCHED = ("/portal/v1/knowledge/", "/sources")
"""Places that the server is to follow are folders of its machine: how the path begins and ends that adds one."""
GUESTS = (
    "/v1/models",
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/conversations",
    "/api/",
    "/portal/v1/me",
    "/portal/v1/preferences",
    "/portal/v1/sign-out",
    "/portal/v1/sessions",
    "/portal/v1/links",
    "/portal/v1/events",
    "/portal/v1/usage",
    "/portal/v1/conversations",
    "/portal/v1/responses",
    "/portal/v1/folders",
    "/portal/v1/manual",
    "/portal/v1/approvals",
    "/portal/v1/route",
)
"""What a chat takes: nothing else is a guest's."""
GUESTS_READ = (
    "/portal/v1/models",
    "/portal/v1/workspaces",
    "/portal/v1/backends",
    "/portal/v1/embedded",
    "/portal/v1/export",
    "/v1/files",
)
"""And what the page looks at."""

BEYOND = (
    "/portal/v1/keys",
    "/portal/v1/sessions",
    "/portal/v1/links",
    "/portal/v1/me",
    "/portal/v1/channels",
    "/portal/v1/schedules",
)
"""What is made there acts as the person, and no longer within the bounds of the key that made it."""


def check(role: Role, method: str, path: str, *, read_only: bool = False, bounded: bool = False) -> None:
    """Raise Forbidden unless somebody of this role may call that; `method` is empty for a WebSocket. `bounded` is what
    came with a key that may less than its person, or for less long."""
    if read_only and method not in _READING:
        raise Forbidden("This key only reads.", code="scope")
    if bounded and method not in _READING and _below(path, BEYOND):
        raise Forbidden("A bounded key makes no other key, no sign-in and no schedule.", code="scope")
    if RANKS[role] >= RANKS["admin"]:
        return
    reading = method in _READING
    if _below(path, ADMINS) or (not reading and _below(path, ADMINS_WRITE)) or (method == "POST" and _watches(path)):
        raise Forbidden("Only those who run this installation may do this.")
    if role == "guest" and not (_below(path, GUESTS) or (reading and _below(path, GUESTS_READ))):
        raise Forbidden("Guests may chat, and nothing else. Ask who runs this Portal to make you a member.")


def _below(path: str, those: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(one if one.endswith("/") else f"{one}/") for one in those)


def _watches(path: str) -> bool:
    begins, ends = WATCHED
    return path.startswith(begins) and path.endswith(ends)
