"""Who answers tool servers that ask back."""

from portal.app.agent import policies
from portal.core.answering import ModelSampler, PersonElicitor
from portal.core.asides import Asides
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.tool_dialogue import Elicitor, Sampler
from portal.routing.router import Router
from portal.settings import Settings
from portal.storage.open import Storage


def answering(
    settings: Settings, storage: Storage, router: Router, completions: Completions, bus: Bus
) -> tuple[Sampler, Elicitor]:
    """A model by the router's choice, and the person."""
    asides = Asides(
        call_log=storage.call_log,
        approvals=storage.approvals,
        audit=storage.audit,
        bus=bus,
        seconds=settings.tools.answer_seconds,
    )
    sampler = ModelSampler(
        asides=asides,
        rules=policies(settings),
        grants=storage.grants,
        models=router,
        completions=completions,
        model=settings.mcp.sampling_model,
        max_tokens=settings.mcp.sampling_tokens,
    )
    return sampler, PersonElicitor(asides=asides)
