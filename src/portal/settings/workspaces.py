"""Settings of workspaces and of the rules that lead to them."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator

from portal.settings.section import Seconds, Section, Words, explain


def workspace_name(name: str) -> str:
    """The name, if it is one. Raises ValueError."""
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", name):
        raise ValueError(
            f"{name!r} is no name for a workspace: use up to 64 small letters, digits, dots, dashes and underscores, "
            "beginning and ending with a letter or digit"
        )
    return name


WorkspaceName = Annotated[str, AfterValidator(workspace_name)]


Task = Literal[
    "general",
    "coding",
    "math",
    "reasoning",
    "creative",
    "documents",
    "research",
    "vision",
    "image_generation",
    "audio",
    "video_generation",
]
"""What a request can be about."""


class SamplingSettings(Section):
    """Parameters of a model call that a workspace may set, by their Chat Completions names."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repeat_penalty: float | None = Field(None, ge=0)
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, gt=0)
    num_ctx: int | None = Field(None, gt=0)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None


class WorkspaceSettings(Section):
    """A workspace of your own, `[workspaces.NAME]`; one with the name of a built-in one replaces it."""

    title: str = Field("", max_length=100, description="What people see; the name by default.")
    description: str = Field("", max_length=500, description="One line about it.")
    task: Literal["", Task] = Field("", description="What it is for, such as coding; empty lets each request decide.")
    instructions: str = Field("", max_length=50_000, description="The system prompt, before what the client sends.")
    persona: str = Field("", max_length=100, description="A persona whose prompt comes before the instructions.")
    prefer: Words = Field(
        (),
        description="Models in the order they are wanted: names, patterns such as qwen3*, or @coding for the best "
        "installed for that.",
    )
    strategy: Literal["auto", "quality", "speed", "balanced", "cost"] = Field(
        "auto", description="What counts between models that can: quality, speed, balanced, cost, or auto."
    )
    parameters: dict[str, Any] = Field(
        {}, description="Sampling parameters used where the client leaves them open, such as temperature."
    )
    tools: Words = Field(
        ("*",), description="Patterns of the tools or tool families it may use, or skills/NAME; empty for none."
    )
    max_rounds: int | None = Field(None, gt=0, description="Model calls of one turn, if fewer than tools.max_rounds.")
    max_seconds: Seconds | None = Field(None, description="Seconds of one turn, if fewer than tools.max_seconds.")
    max_tokens: int | None = Field(None, gt=0, description="Tokens of one turn, if fewer than tools.max_tokens.")
    knowledge: bool = Field(True, description="Whether it looks into your knowledge.")
    collections: Words = Field(
        (), description="Names or ids of the collections of documents that it looks into; empty for all."
    )
    memory: bool = Field(True, description="Whether it uses your memory.")
    users: Words = Field((), description="Ids of those who may use it; empty for everyone.")
    max_output_tokens: int | None = Field(None, gt=0, description="Longest answer in tokens; no client can raise it.")

    @field_validator("parameters")
    @classmethod
    def _sampling(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            return SamplingSettings(**parameters).model_dump(exclude_none=True)
        except ValidationError as error:
            raise ValueError("; ".join(explain(detail) for detail in error.errors())) from error


class RuleSettings(Section):
    """A rule of your own, `[rules.NAME]`: what answers requests with certain words. Rules hold for `auto` and other
    workspaces without a task."""

    priority: int = Field(0, description="Rules with a higher one are looked at first.")
    words: tuple[str, ...] = Field((), description="The request has one of these words, in any case.")
    pattern: str = Field("", description="Or a regular expression that the request must match.")
    model: str = Field("", description="The model that answers, by name or pattern.")
    task: Literal["", Task] = Field("", description="Or the task that such a request is, such as coding.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern
