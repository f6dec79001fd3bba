"""What every section of the settings is made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]
Words = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100)]


class Section(BaseModel):
    """One section: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def explain(detail: Any) -> str:
    """One error of pydantic's in words: where, and what is wrong."""
    where = ".".join(str(part) for part in detail["loc"]) or "settings"
    return f"{where}: {detail['msg']}"
