"""Settings of answers: how one is run and kept, and what is done when a model server fails."""

from pydantic import Field

from portal.settings.section import Seconds, Section


class TurnSettings(Section):
    """How an answer is run and kept."""

    flush_interval: Seconds = Field(0.5, le=1, description="Seconds of unfinished text that a power cut may cost.")
    connect_timeout: Seconds = Field(5, description="Seconds to reach a model server.")
    first_token_timeout: Seconds = Field(
        300, description="Seconds until a model's first sign of an answer (loading included)."
    )
    idle_timeout: Seconds = Field(120, description="Seconds a model may pause in the middle of an answer.")
    context_fallback: int = Field(8192, gt=0, description="Tokens of context assumed where a server does not say.")
    recall_deadline: Seconds = Field(
        3, description="Seconds that an answer waits for what is looked up in documents and memories."
    )
    titles: bool = Field(True, description="Let the model title conversations, in the background.")
    keep_deleted_days: int = Field(7, ge=0, description="Days until a deleted conversation is really gone.")


class FaultSettings(Section):
    """What Portal does when a model server fails or is busy, before the first sign of an answer."""

    retries: int = Field(2, ge=0, description="Times the same server is asked again after a passing failure.")
    retry_pause: Seconds = Field(0.25, description="Seconds before the first retry, about; doubled for each further.")
    retry_deadline: Seconds = Field(20, description="Seconds from a call's beginning after which no retry begins.")
    fallbacks: int = Field(3, ge=0, description="Other models a workspace asks when its first choice fails.")
    breaker_failures: int = Field(
        5, ge=0, description="Failures of a model in a row after which it rests for a while; 0 lets it never rest."
    )
    breaker_window: Seconds = Field(60, description="Seconds within which those failures count.")
    breaker_rest: Seconds = Field(
        15, description="Seconds a model rests at first, doubled up to eight times that while it goes on failing."
    )
    queue_length: int = Field(
        100, ge=0, description="Calls that wait for a server with `max_concurrency`; more are refused."
    )
    queue_deadline: Seconds = Field(120, description="Seconds a call waits for its turn.")
