"""Exact numbers, algebra, units and dates."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.tools.algebra import Operation, main, work


@pytest.fixture
def maths(tmp_path: Path) -> Toolset:
    return family("maths", tmp_path)


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("(1.1 + 2.2) × 3^2 =", "29.7"),
        ("15% * 80", "12"),
        ("10 % 4", "2"),
        ("-7 // 2", "-4"),
        ("+3 − 5", "-2"),
        ("-0.25", "-0.25"),
        ("2(3 + 4)", "14"),
        ("1,234,567.89 * 2", "2469135.78"),
        ("max(1,200)", "200"),
        ("min(3, 2, 5)", "2"),
        ("1/3", "1/3 (about 0.333333333333333)"),
        ("5! + (1+2)!", "126"),
        ("2^0.5", "1.4142135623731"),
        ("8^(1/3)", "2"),
        ("2.5^1.5", "3.95284707521047"),
        ("sqrt(2)^2.0", "2"),
        ("2^-3", "0.125"),
        ("sqrt(16/9)", "4/3 (about 1.33333333333333)"),
        ("sqrt(pi)", "1.77245385090552"),
        ("mean([1, 2, 4])", "7/3 (about 2.33333333333333)"),
        ("median(3, 1, 2)", "2"),
        ("median(4, 1, 2, 3)", "2.5"),
        ("stdev(2, 4, 4, 4, 5, 5, 7, 9)", "2.1380899352994"),
        ("round(2.5)", "3"),
        ("round(-2.567, 2)", "-2.57"),
        ("round(1234, -2)", "1200"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("comb(5, 2) + perm(5, 2)", "30"),
        ("log(100) + log(8, 2) + ln(e)", "6"),
        ("sin(radians(90))", "1"),
        ("floor(2.7) + ceil(2.1)", "5"),
        ("abs(-3/4)", "0.75"),
        ("2^100", "1267650600228229401496703205376"),
    ],
)  # fmt: skip
async def test_calculations(maths: Toolset, talk: ToolContext, expression: str, value: str) -> None:
    assert (await call(maths, "calculate", talk, expression=expression)).text == value


async def test_numbers_that_no_float_can_hold(maths: Toolset, talk: ToolContext) -> None:
    ratio = await call(maths, "calculate", talk, expression="(10^400 + 1)/(3 * 10^400)")
    large = await call(maths, "calculate", talk, expression="(10^400 + 1)/3")

    assert ratio.text.endswith("(about 0.333333333333333)")
    assert large.text.endswith("/3")
    assert "cannot be worked out" in await refusal(maths, "calculate", talk, expression="sqrt(2*10^700)")
    assert "cannot be worked out" in await refusal(maths, "calculate", talk, expression="(2*10^700)^(1/2)")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("9^9^9^9", "digits"),
        ("10^3000 * 10^3000", "digits"),
        ("(1/3)^99999", "digits"),
        ("factorial(1e9)", "digits"),
        ("comb(1e8, 5)", "too large to count"),
        ("1e400", "too large"),
        ("exp(1e5)", "cannot be worked out"),
        ("1/0", "divides by zero"),
        ("sqrt(-1)", "no real square root"),
        ("(-8)^0.5", "cannot be worked out"),
        ("gcd(1.5, 2)", "not a whole number"),
        ("round(1, 1e9)", "digits"),
        ("median()", "cannot be worked out"),
        ("sin()", "cannot be worked out"),
        ("factorial(-1)", "cannot be worked out"),
        ("__import__('os').system('id')", "not arithmetic"),
        ("(1).real", "not arithmetic"),
        ("[x for x in (1,)]", "not arithmetic"),
        ("price * 2", "not a known number"),
        ("True + 1", "Only numbers"),
        ("1 +", "cannot be read"),
        ("(" * 250 + "1" + ")" * 250, "cannot be read"),
        ("-" * 1900 + "1", "deeply"),
        ("9" * 3000, "too long"),
    ],
)
async def test_what_is_no_calculation(maths: Toolset, talk: ToolContext, expression: str, said: str) -> None:
    assert said in await refusal(maths, "calculate", talk, expression=expression)


@pytest.mark.parametrize(
    ("operation", "formula", "at", "result"),
    [
        ("solve", "x + y = 10; x - y == 2", "", "x = 6, y = 4"),
        ("solve", "x^2 = 2", "", "x = sqrt(2) (about 1.414213562)"),
        ("solve", "x = x + 1", "", "No solution."),
        ("solve", "x + x = 2x", "", "True for every value."),
        ("factor", "x^2 - 1", "", "(x - 1)*(x + 1)"),
        ("differentiate", "sin(x)*x + e^0 + ln(1) - +2 + pi", "", "cos(x)"),
        ("integrate", "exp(-x^2)", "-oo..oo", "sqrt(pi)"),
        ("integrate", "2x", "", "x**2"),
        ("limit", "sin(x)/x", "0", "1"),
    ],
)
def test_algebra(operation: Operation, formula: str, at: str, result: str) -> None:
    assert result in work(operation, formula, "", at)


@pytest.mark.parametrize(
    ("formula", "variable", "said"),
    [
        ("__import__('os').system('touch pwned')", "", "cannot be used here"),
        ("x.__class__", "", "cannot be used here"),
        ("True", "", "cannot be used here"),
        ("_x", "", "cannot be used here"),
        (";", "", "no formula"),
        ("x*y", "", "Say which"),
        ("x*y", "x, y", "Say which"),
        ("x +", "", "cannot be read"),
    ],
)
def test_algebra_runs_nothing_and_says_what_is_wrong(formula: str, variable: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        work("differentiate", formula, variable, "")


def test_algebra_reads_a_request_and_answers() -> None:
    out, wrong = io.StringIO(), io.StringIO()
    codes = []
    for formula in ("x^2", "x.y"):
        asked = {"operation": "differentiate", "formula": formula, "variable": "", "at": ""}
        codes.append(main(io.StringIO(json.dumps(asked)), out, wrong))

    assert codes == [0, 1]
    assert out.getvalue() == "2*x\n"
    assert "cannot be used here" in wrong.getvalue()


async def test_algebra_is_done_in_a_process_of_its_own(maths: Toolset, talk: ToolContext) -> None:
    solved = await call(maths, "solve_algebra", talk, operation="solve", formula="x^2 - 5x + 6 = 0")
    wrong = await refusal(maths, "solve_algebra", talk, operation="solve", formula="x.y")

    assert solved.text == "x = 2\nx = 3"
    assert wrong.startswith("This cannot be worked out: 'x.y' cannot be used here")


async def test_algebra_that_never_ends_is_ended(maths: Toolset, talk: ToolContext) -> None:
    endless = maths.call("solve_algebra", {"operation": "expand", "formula": "(a+b+c+d+f+g)^99"}, talk)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await endless


@pytest.mark.parametrize(
    ("value", "unit", "to", "made"),
    [
        (100, "km/h", "mph", "62.1371192237"),
        (20, "degC", "degF", "= 68 degF"),
        (1, "kWh", "J", "3600000"),
        (2, "m^2", "cm**2", "20000"),
        (5, "feet", "m", "1.524"),
        (1, "GB", "MB", "1000"),
    ],
)
async def test_units(maths: Toolset, talk: ToolContext, value: float, unit: str, to: str, made: str) -> None:
    assert made in (await call(maths, "convert_units", talk, value=value, unit=unit, to=to)).text


@pytest.mark.parametrize(
    ("unit", "to", "said"),
    [
        ("kg", "m", "different things"),
        ("blorps", "m", "There is no unit"),
        ("m**9**9**9**9", "m", "plainly"),
        ("__import__('os')", "m", "plainly"),
        ("m^99", "m", "plainly"),
    ],
)
async def test_units_that_do_not_go(maths: Toolset, talk: ToolContext, unit: str, to: str, said: str) -> None:
    assert said in await refusal(maths, "convert_units", talk, value=1, unit=unit, to=to)


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ({"operation": "show", "date": "2026-11-26"}, "2026-11-26 (Thursday, week 48, day 330 of the year)"),
        ({"operation": "show", "date": "2026-11-26T10:00", "zone": "Europe/Berlin"}, "2026-11-26T10:00:00+01:00"),
        ({"operation": "add", "date": "2026-01-31", "amount": "1 month"}, "2026-02-28"),
        ({"operation": "add", "date": "2024-02-29", "amount": "1 year and 2 days"}, "2025-03-02"),
        ({"operation": "add", "date": "2026-03-10", "amount": "-1 year 2 months"}, "2025-01-10"),
        ({"operation": "add", "date": "2026-03-10", "amount": "2w"}, "2026-03-24"),
        ({"operation": "add", "date": "2026-03-10", "amount": "36 hours"}, "2026-03-11T12:00:00"),
        (
            {"operation": "add", "date": "2026-03-28T12:00", "zone": "Europe/Berlin", "amount": "24 h"},
            "2026-03-29T13:00:00+02:00",
        ),
        (
            {"operation": "add", "date": "2026-03-28T12:00", "zone": "Europe/Berlin", "amount": "1 day"},
            "2026-03-29T12:00:00+02:00",
        ),
        ({"operation": "difference", "date": "2024-02-29", "other": "2026-11-26"}, "2 years, 8 months, 28 days"),
        ({"operation": "difference", "date": "2026-11-26", "other": "2026-11-26"}, "0 days"),
        ({"operation": "difference", "date": "2026-11-27", "other": "2026-11-25"}, "the first is later"),
        ({"operation": "difference", "date": "2026-11-25T09:30", "other": "2026-11-26"}, "14 hours, 30 minutes"),
        ({"operation": "business_days", "date": "2026-11-20", "other": "2026-12-01"}, "7"),
        ({"operation": "add_business_days", "date": "2026-11-27", "amount": "1"}, "2026-11-30"),
        ({"operation": "add_business_days", "date": "2026-11-28", "amount": "5 days"}, "2026-12-04"),
        ({"operation": "add_business_days", "date": "2026-11-28", "amount": "-1"}, "2026-11-27"),
        ({"operation": "add_business_days", "date": "2026-11-27", "amount": "-7"}, "2026-11-18"),
        (
            {"operation": "convert_zone", "date": "2026-07-01T12:00Z", "to_zone": "Asia/Tokyo"},
            "2026-07-01T21:00:00+09:00",
        ),
        ({"operation": "show", "date": "tomorrow"}, "week"),
        ({"operation": "show"}, "UTC"),
    ],
)
async def test_dates(maths: Toolset, talk: ToolContext, arguments: dict[str, str], made: str) -> None:
    assert made in (await call(maths, "reckon_dates", talk, **arguments)).text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"operation": "show", "date": "31.03.2026"}, "is not a date"),
        ({"operation": "show", "date": "2026-02-30"}, "is not a date"),
        ({"operation": "show", "zone": "Atlantis"}, "no time zone"),
        ({"operation": "show", "zone": "../../etc/passwd"}, "no time zone"),
        ({"operation": "add", "amount": "soon"}, "not an amount"),
        ({"operation": "add", "amount": "3 apples"}, "not a unit"),
        ({"operation": "add", "amount": "99999 years"}, "too far"),
        ({"operation": "add", "amount": "999999999 days"}, "too far"),
        ({"operation": "add_business_days", "amount": "few"}, "number of business days"),
        ({"operation": "add_business_days"}, "number of business days"),
        ({"operation": "add_business_days", "amount": "9999999"}, "too far"),
        ({"operation": "add_business_days", "date": "9999-12-30", "amount": "99"}, "too far"),
        ({"operation": "convert_zone", "date": "2026-01-01"}, "Give a time"),
    ],
)
async def test_dates_that_are_none(maths: Toolset, talk: ToolContext, arguments: dict[str, str], said: str) -> None:
    assert said in await refusal(maths, "reckon_dates", talk, **arguments)
