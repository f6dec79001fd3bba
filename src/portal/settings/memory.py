"""Settings of memory: what is kept about people, and told to models."""

from pydantic import Field

from portal.settings.section import Section


class MemorySettings(Section):
    """What Portal remembers about you and tells models. Each person can turn it off for themselves as well."""

    enabled: bool = Field(True, description="Remember what people ask to be remembered, and recall it.")
    conversations: bool = Field(True, description="Look into past conversations when a question is about them.")
    tokens: int = Field(600, gt=0, description="Most tokens of memories and past conversations that an answer is told.")
    proposals: bool = Field(
        True, description="Let people turn on that a model proposes memories after a turn; it is off until they do."
    )
    model: str = Field(
        "",
        description="A small model that proposes memories and looks for contradictions that rules do not find; empty "
        "lets the model that answered propose, and asks nobody about contradictions.",
    )
