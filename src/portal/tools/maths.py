"""Tools for exact calculation, algebra, units and dates."""

import asyncio
import datetime
import json
import re
import sys
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal

from portal.core.tool_ports import Toolset
from portal.errors import ToolError
from portal.extras import add_command
from portal.tools import dates, formulas
from portal.tools.algebra import Operation
from portal.tools.families import Needs
from portal.tools.function import Functions, tool

if TYPE_CHECKING:
    import pint

SECONDS = 20
"""For symbolic mathematics."""
_ONE = r"[^\W\d][\w°]*(?:\s*(?:\*\*|\^)\s*-?\d)?|[%°]\w*"
_UNIT = re.compile(rf"(?:1\s*/\s*)?(?:{_ONE})(?:\s*[*/·]\s*(?:{_ONE})|\s+(?:{_ONE}))*")
"""Powers of one digit only: 9^9^9^9 would be worked out."""


@tool(risk="read")
def calculate(expression: Annotated[str, "Such as (1.1 + 2.2) * 3^2, sqrt(2), 15% * 80, mean(1, 2, 4)"]) -> str:
    """Calculate a number exactly. Use it for every calculation instead of reckoning yourself."""
    return formulas.shown(formulas.work_out(expression))


@tool(risk="read", timeout=SECONDS + 10)
async def solve_algebra(
    operation: Operation,
    formula: Annotated[str, "Such as x^2 - 5*x + 6 = 0; the equations of a system are separated by ;"],
    variable: Annotated[str, "Such as x"] = "",
    at: Annotated[str, "For a limit the point, for an integral the bounds such as 0..1"] = "",
) -> str:
    """Solve equations, simplify, expand or factor formulas, differentiate, integrate, or find a limit."""
    if find_spec("sympy") is None:
        raise ToolError(f"Algebra needs sympy: install it with `{add_command('data')}`.")
    asked = json.dumps({"operation": operation, "formula": formula, "variable": variable, "at": at})
    return await _in_process(asked)


async def _in_process(asked: str, seconds: float = SECONDS) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-m", "portal.tools.algebra"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, wrong = await process.communicate(asked.encode())
    except TimeoutError as error:
        raise ToolError("This takes too long to work out.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = wrong.decode(errors="replace").strip().splitlines()
        raise ToolError(f"This cannot be worked out: {lines[-1][:300] if lines else 'it failed'}")
    return out.decode().strip()


class Units:
    """Units of measure; reading their definitions takes a second, so it is done once, when first needed."""

    @tool(risk="read")
    def convert_units(
        self,
        value: float,
        unit: Annotated[str, "Such as km/h, degF, lb, kWh"],
        to: Annotated[str, "Unit wanted"],
    ) -> str:
        """Convert an amount from one unit of measure into another (not currencies)."""
        import pint

        if not all(len(one) <= 60 and _UNIT.fullmatch(one.strip()) for one in (unit, to)):
            raise ToolError("Write the units plainly, such as km/h or m^2.")
        registry = self._registry
        try:
            made = registry.Quantity(value, registry.parse_units(unit)).to(registry.parse_units(to))
        except pint.DimensionalityError as error:
            raise ToolError(f"{unit} cannot be converted to {to}: they measure different things.") from error
        except pint.UndefinedUnitError as error:
            raise ToolError(f"There is no unit {', '.join(error.unit_names)}.") from error
        except (pint.PintError, ValueError, TypeError, ArithmeticError, AttributeError) as error:
            raise ToolError(f"This cannot be converted: {error}") from error
        return f"{value:.12g} {unit} = {made.magnitude:.12g} {to}"

    @cached_property
    def _registry(self) -> "pint.UnitRegistry[float]":
        import pint

        return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


@tool(risk="read")
def reckon_dates(
    operation: Literal["show", "add", "difference", "business_days", "add_business_days", "convert_zone"],
    date: Annotated[str, "today, now, 2026-03-31 or 2026-03-31T14:30"] = "now",
    other: Annotated[str, "The second date, for a difference or business_days"] = "",
    amount: Annotated[str, "To add, such as 3 weeks, -2 months or, for business days, 10"] = "",
    zone: Annotated[str, "Time zone of the dates, such as Europe/Berlin"] = "UTC",
    to_zone: Annotated[str, "Time zone wanted"] = "UTC",
) -> str:
    """Tell today's date and time, weekday or week; add to dates, count days between them, convert time zones."""
    where = dates.zone(zone)
    one = dates.moment(date, where)
    if operation == "add":
        return dates.shown(dates.add(one, amount))
    if operation == "add_business_days":
        try:
            return dates.shown(dates.add_business_days(one, int(amount.split()[0])))
        except (ValueError, IndexError) as error:
            raise ToolError("`amount` must be a number of business days.") from error
    if operation in ("difference", "business_days"):
        two = dates.moment(other, where)
        return dates.difference(one, two) if operation == "difference" else str(dates.business_days(one, two))
    return _zoned(one, to_zone) if operation == "convert_zone" else dates.shown(one)


def _zoned(one: dates.Moment, to_zone: str) -> str:
    if not isinstance(one, datetime.datetime):
        raise ToolError("Give a time with the date, such as 2026-03-31T14:30.")
    return dates.shown(one.astimezone(dates.zone(to_zone)))


def create(needs: Needs) -> Toolset:
    """The family `maths`."""
    return Functions("maths", [calculate, solve_algebra, Units().convert_units, reckon_dates])
