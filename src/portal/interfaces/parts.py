"""What the doors open onto: everything that routes are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from portal.channels.house import Channels
from portal.core.agent import Agent
from portal.core.bus import Bus
from portal.core.health import Health
from portal.core.passages import Reranker
from portal.core.ports import Conversations, Files, Folders, Models, Responses, Traces, Users
from portal.core.rereading import Rereads
from portal.core.speech import Speech
from portal.core.toolbox import Toolbox
from portal.core.tracing import Tracer
from portal.interfaces.library import Library
from portal.interfaces.mcp.endpoint import Endpoint
from portal.interfaces.ollama.ports import Backends
from portal.interfaces.web.approvals import Approving
from portal.interfaces.web.cluster import Members
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.exchange import Exchange
from portal.interfaces.web.ports import (
    Activity,
    Backups,
    Engine,
    Manual,
    Mind,
    ModelServers,
    Previews,
    Skills,
    ToolServers,
    Workspaces,
)
from portal.interfaces.web.schedules import Timetable
from portal.media.studio import MediaStudio
from portal.observability.metrics import Metrics
from portal.security.credentials import Credentials
from portal.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the doors open onto."""

    settings: Settings
    entrance: Entrance
    agent: Agent
    toolbox: Toolbox
    models: Models
    backends: Backends
    servers: ModelServers
    workspaces: Workspaces
    engine: Engine
    tool_servers: ToolServers
    manual: Manual
    responses: Responses
    conversations: Conversations
    folders: Folders
    files: Files
    library: Library
    previews: Previews
    users: Users
    usage: Metrics
    traces: Traces
    activity: Activity
    tracer: Tracer
    bus: Bus
    approving: Approving
    skills: Skills
    mind: Mind
    endpoint: Endpoint
    timetable: Timetable
    media: MediaStudio
    members: Members
    """The servers on the database."""
    channels: Channels
    speech: Speech
    health: Health
    exchange: Exchange
    rereads: Rereads
    aliases: dict[str, str]
    """Of Anthropic's clients; changes while Portal runs."""
    backups: Backups
    compares: Callable[[], Reranker | None] = lambda: None
    """What ranks documents where no reranker is served."""

    @property
    def credentials(self) -> Credentials:
        """Everybody's."""
        return self.entrance.credentials
