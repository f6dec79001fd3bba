"""Portal as a tool server, put together. What it is made of is imported when its first client comes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portal.app.agent import Brain
from portal.app.ground import Ground
from portal.app.knowledge import Finding, Knowledge
from portal.app.media import media_toolsets
from portal.app.memory import Mind
from portal.core.media import Studio
from portal.core.tool_ports import Toolset
from portal.interfaces.mcp.endpoint import Endpoint
from portal.knowledge.keeping import KnowledgeKeeping
from portal.settings import Settings

if TYPE_CHECKING:
    from portal.interfaces.mcp.serving import Offer


async def open_endpoint(
    ground: Ground, brain: Brain, mind: Mind, finding: Finding, knowledge: Knowledge, studio: Studio
) -> Endpoint:
    """Serves until the ground is closed."""
    settings, storage = ground.settings, ground.storage

    def offer() -> "Offer":
        from portal.interfaces.mcp.portal import PortalOffer, Within
        from portal.interfaces.mcp.reading import Reading
        from portal.interfaces.mcp.runs import Runs

        reading = Reading(
            models=ground.router, conversations=storage.conversations, search=mind.past, toolbox=brain.toolbox
        )
        return PortalOffer(
            runs=Runs(agent=brain.agent, approvals=storage.approvals, responses=storage.responses),
            conversations=storage.conversations,
            toolsets=lambda: [
                *own_toolsets(settings, mind, finding, knowledge),
                *media_toolsets(studio, storage.files),
                reading.toolset(),
            ],
            within=Within(
                rules=ground.rules,
                off=settings.tools.off,
                folder=settings.data_dir / "work",
                timeout=settings.tools.timeout,
            ),
            changed=lambda owner, conversation: ground.bus.publish(owner, "conversation.changed", id=conversation),
        )

    endpoint = Endpoint(offer, largest=settings.server.max_body)
    ground.keep_going(mcp_endpoint=endpoint.run)
    ground.stack.callback(endpoint.stop)
    return endpoint


def own_toolsets(settings: Settings, mind: Mind, finding: Finding, knowledge: Knowledge) -> Sequence[Toolset]:
    """Those over Portal's own stores: documents, and memory where it is on."""
    from portal.tools.memory import MemoryTools

    library = knowledge.library
    keeping = KnowledgeKeeping(collections=library.collections, documents=library.documents, files=knowledge.files)
    memory = [MemoryTools(mind.keeper)] if settings.memory.enabled else []
    return [finding.tools, keeping, *memory]
