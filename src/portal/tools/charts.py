"""Charts as pictures: series of numbers in, the bytes of a PNG, SVG or PDF out."""

import datetime
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, TypeAlias

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.datafiles import Cell, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind: TypeAlias = Literal["line", "bar", "scatter", "histogram", "pie"]
MOST_LABELS = 30
COLOURS = ("1F5C99", "E08A2B", "4A9A6B", "B5495B", "7A68A6", "3FA7B5", "8C8C8C", "C7B23B")
"""Of series, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is drawn: x values, and y values by name."""

    x: Sequence[Cell]
    y: Mapping[str, Sequence[float]]
    x_name: str = ""


def from_values(values: Sequence[float], labels: Sequence[str]) -> Series:
    """Raises ToolError when there is not a label for each value."""
    if labels and len(labels) != len(values):
        raise ToolError(f"There are {len(values)} values but {len(labels)} labels.")
    return Series(x=_read(labels) if labels else range(1, len(values) + 1), y={"": [float(one) for one in values]})


def from_rows(rows: Rows, kind: Kind) -> Series:
    """The first column as x, the numbers among the others as y. Raises ToolError where there are none."""
    columns = dict(zip(rows.columns, zip(*rows.rows, strict=True), strict=False))
    numbers = {name: [_number(one) for one in held] for name, held in columns.items() if _numeric(held)}
    first = rows.columns[0]
    drawn = {name: held for name, held in numbers.items() if name != first or kind == "histogram" or len(columns) == 1}
    if not drawn:
        raise ToolError(f"There are no numbers to draw; the columns are {', '.join(rows.columns)}.")
    alone = len(columns) == 1 or first in drawn
    return Series(x=range(1, len(rows.rows) + 1) if alone else columns[first], y=drawn, x_name="" if alone else first)


def draw(kind: Kind, series: Series, *, title: str, name: str, colours: Sequence[str] = COLOURS) -> bytes:
    """The picture, in the format that the name ends in. Raises ToolError."""
    ending = PurePath(name).suffix.lower().lstrip(".")
    if ending not in ("png", "svg", "pdf"):
        raise ToolError("The chart's name must end in .png, .svg or .pdf.")
    if not series.x:
        raise ToolError("There is nothing to draw: give `values` or a `path`.")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolError(f"Charts need matplotlib: install it with `{add_command('data')}`.") from error
    figure = Figure(figsize=(8, 4.8), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_prop_cycle(color=[f"#{one}" for one in colours])
    if kind == "pie":
        _pie(axes, series)
    else:
        _plot(axes, kind, series)
    if title:
        axes.set_title(_plain(title))
    out = io.BytesIO()
    figure.savefig(out, format=ending)
    return out.getvalue()


def _pie(axes: "Axes", series: Series) -> None:
    """Of the first series; raises ToolError for what has no parts."""
    values = next(iter(series.y.values()))
    if not all(one >= 0 for one in values) or not sum(values):
        raise ToolError("A pie needs numbers that are not negative, and one that is more than 0.")
    names = [_label(one) for one in series.x]
    edges = {"edgecolor": "white", "linewidth": 1.5}
    inner = {"color": "white", "fontsize": 9}
    drawn = axes.pie(values, labels=names, autopct="%1.0f%%", startangle=90, counterclock=False, wedgeprops=edges)
    for text in drawn[2]:
        text.set(**inner)


def _plot(axes: "Axes", kind: Kind, series: Series) -> None:
    from matplotlib.ticker import MaxNLocator

    x = series.x if kind != "bar" else range(len(series.x))
    width = 0.8 / len(series.y)
    for number, (name, values) in enumerate(series.y.items()):
        label = _plain(name)
        if kind == "line":
            axes.plot(x, values, marker="o" if len(values) <= 50 else "", label=label)
        elif kind == "scatter":
            axes.scatter(x, values, s=16, label=label)
        elif kind == "bar":
            axes.bar([one - 0.4 + width * (number + 0.5) for one in x], values, width, label=label)
        else:
            known = [one for one in values if math.isfinite(one)]
            axes.hist(known, bins=min(50, max(5, math.isqrt(len(known)))), alpha=0.8, label=label)
    if all(float(one).is_integer() for values in series.y.values() for one in values):  # nobody counts in quarters
        axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if any(series.y) and (len(series.y) > 1 or kind == "histogram"):
        axes.legend()
    if kind != "histogram":
        _axis(axes, kind, series)


def _axis(axes: "Axes", kind: Kind, series: Series) -> None:
    axes.set_xlabel(_plain(series.x_name))
    if len(series.y) == 1:
        axes.set_ylabel(_plain(next(iter(series.y))))
    if kind == "bar":
        step = math.ceil(len(series.x) / MOST_LABELS)
        axes.set_xticks(range(0, len(series.x), step), [_label(one) for one in series.x[::step]])
    if kind == "bar" or not isinstance(series.x[0], int | float):
        axes.tick_params(axis="x", rotation=0 if sum(len(_label(one)) for one in series.x) < 70 else 45)


def _read(labels: Sequence[str]) -> Sequence[Cell]:
    """Labels as numbers or dates where all of them are."""
    for read in (float, datetime.date.fromisoformat):
        try:
            return [read(one) for one in labels]
        except ValueError:
            continue
    return [_plain(one) for one in labels]


def _numeric(held: Sequence[Cell]) -> bool:
    known = [one for one in held if one is not None]
    return bool(known) and all(isinstance(one, int | float | Decimal) and not isinstance(one, bool) for one in known)


def _number(value: Cell) -> float:
    return math.nan if value is None else float(value)


def _label(value: Cell) -> str:
    text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return _plain(text if len(text) <= 24 else f"{text[:23]}…")


def _plain(text: str) -> str:
    """Dollar signs would begin a formula of TeX."""
    return text.replace("$", r"\$")
