"""What a document holds, whatever it is written as: blocks of text, tables, pictures and charts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from portal.errors import ToolError
from portal.tools.charts import COLOURS

ChartKind: TypeAlias = Literal["bar", "line", "pie", "scatter"]
_MOST_POINTS = 5000


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    strike: bool = False
    link: str = ""


Inline: TypeAlias = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section; level 1 is the highest."""

    level: int
    text: Inline


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text."""

    text: Inline


@dataclass(frozen=True, slots=True)
class Item:
    """One of a list. `number` is None for a bullet; a continued one has no mark of its own."""

    text: Inline
    depth: int = 0
    number: int | None = None
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list with its inner lists, in reading order."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A head and rows of as many cells."""

    head: tuple[Inline, ...]
    rows: tuple[tuple[Inline, ...], ...]
    align: tuple[str, ...] = ()
    """left, center or right for each column, or empty."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was checked: PNG, JPEG or GIF."""

    data: bytes
    width: int
    height: int
    caption: str = ""
    chart: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Paragraphs of somebody else's."""

    texts: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """A new page (or slide), or a line across."""

    page: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What a speaker says, seen by nobody else."""

    text: str


class Chart(BaseModel):
    """Numbers to draw."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    kind: ChartKind = Field("bar", validation_alias=AliasChoices("kind", "type"))
    title: str = ""
    labels: tuple[str, ...] = ()
    series: dict[str, tuple[float, ...]] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: Any) -> Any:
        """The ways in which models write the same: `values`, a bare list of numbers, or datasets."""
        if not isinstance(given, dict):
            return given
        inner = given.get("data")
        made = {**given, **inner} if isinstance(inner, dict) else dict(given)
        sets = made.get("datasets", made.get("series", made.get("values", inner)))
        if isinstance(sets, list) and all(isinstance(one, dict) for one in sets):
            sets = {str(one.get("label", one.get("name", ""))): one.get("data", one.get("values")) for one in sets}
        elif isinstance(sets, list):
            sets = {"": sets}
        labels = made.get("labels", made.get("categories", ()))
        return {**made, "series": sets, "labels": [str(one) for one in labels] if isinstance(labels, list) else labels}

    @model_validator(mode="after")
    def _fitting(self) -> "Chart":
        lengths = {len(one) for one in self.series.values()}
        if len(lengths) != 1 or not 0 < next(iter(lengths)) <= _MOST_POINTS:
            raise ValueError(f"each series needs the same number of values, 1 to {_MOST_POINTS}")
        if self.labels and len(self.labels) not in lengths:
            raise ValueError(f"there are {len(self.labels)} labels for {next(iter(lengths))} values")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """A label for each value."""
        return self.labels or tuple(str(one + 1) for one in range(len(next(iter(self.series.values())))))


Block: TypeAlias = Heading | Paragraph | Items | Table | Picture | Chart | Code | Quote | Break | Notes
CHART = (
    '```chart\n{"kind": "bar", "title": "Sales", "labels": ["Q1", "Q2"], "series": {"2026": [3, 5]}}\n``` '
    "(kind: bar, line, pie or scatter)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A document before it is written."""

    blocks: Sequence[Block]
    title: str = ""
    subtitle: str = ""
    author: str = ""
    look: "Look" = field(default_factory=lambda: Look())
    landscape: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """The colours and fonts of a document."""

    accent: str = COLOURS[0]
    ink: str = "1B2733"
    quiet: str = "5B6875"
    line: str = "D5DBE1"
    font: str = "Calibri"
    mono: str = "Consolas"

    @property
    def tint(self) -> str:
        """A very light shade of the accent."""
        return _mixed(self.accent, 0.08)

    @property
    def series(self) -> tuple[str, ...]:
        """Colours of a chart's series, the accent first."""
        return (self.accent, *(one for one in COLOURS if one != self.accent))


_NAMED = {
    "blue": "1F5C99", "navy": "1F3A5F", "green": "2C7A4B", "teal": "1B7A7A", "red": "A83232", "orange": "B85C14",
    "purple": "6A4A9C", "grey": "4A5560", "gray": "4A5560", "black": "22282E", "pink": "A83A72", "brown": "75492B",
}  # fmt: skip


def look(accent: str) -> Look:
    """The look with this accent. Raises ToolError for what is no colour."""
    if not accent:
        return Look()
    plain = accent.strip().lower().removeprefix("#")
    found = _NAMED.get(plain, plain.upper())
    if len(found) != 6 or any(char not in "0123456789ABCDEF" for char in found):
        raise ToolError(f"`accent` is a colour: {', '.join(_NAMED)}, or six digits such as 1F5C99.")
    return replace(Look(), accent=found)


def chart(given: object) -> Chart:
    """A chart as a model wrote it. Raises ToolError with an example."""
    try:
        return Chart.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ToolError(f"This chart cannot be drawn: {where} {first['msg']}. Write one like {CHART}") from error


def plain(text: Iterable[Run]) -> str:
    """The words alone."""
    return "".join(run.text for run in text)


def _mixed(colour: str, part: float) -> str:
    return "".join(f"{round(255 - (255 - int(colour[at : at + 2], 16)) * part):02X}" for at in (0, 2, 4))
