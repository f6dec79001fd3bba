"""Who answers tool servers that ask back."""

from portal.app.ground import Ground
from portal.core.answering import ModelSampler, PersonElicitor
from portal.core.asides import Asides
from portal.core.tool_dialogue import Elicitor, Sampler


def answering(ground: Ground) -> tuple[Sampler, Elicitor]:
    """A model by the router's choice, and the person."""
    settings, storage = ground.settings, ground.storage
    asides = Asides(
        call_log=storage.call_log,
        approvals=storage.approvals,
        audit=storage.audit,
        bus=ground.bus,
        seconds=settings.tools.answer_seconds,
    )
    sampler = ModelSampler(
        asides=asides,
        rules=ground.rules,
        grants=storage.grants,
        models=ground.router,
        completions=ground.completions,
        model=settings.mcp.sampling_model,
        max_tokens=settings.mcp.sampling_tokens,
    )
    return sampler, PersonElicitor(asides=asides)
