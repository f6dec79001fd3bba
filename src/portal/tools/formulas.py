"""Formulas as people write them, read into a tree and worked out exactly; nothing in them is ever run as code."""

import ast
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from portal.errors import ToolError

Number: TypeAlias = int | float | Fraction
DIGITS = 4000
"""Of a whole number."""
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "·": "*", "^": "**"})


def read(formula: str) -> ast.expr:
    """The tree of a formula; `^` is power, `5!` a factorial, `20%` a hundredth, `2x` a product. Raises ToolError."""
    if len(formula) > 2000:
        raise ToolError("This formula is too long.")
    text = re.sub(r"(\d)\s*%(?!\s*[\w(])", r"\1/100", formula.strip().rstrip("=?").translate(_SIGNS))
    text = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?=[A-Za-z(])(?![eE][+-]?\d)", r"\1*", text)
    text = re.sub(r"(\b\d+|\([^()]*\))!(?!=)", r"factorial(\1)", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b(?!\s*[,)]\s*\d{1,2}\b))(?![^(]*\))", "", text)
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ToolError(f"This formula cannot be read: {formula!r}.") from error


def work_out(formula: str, names: Mapping[str, Number] | None = None) -> Number:
    """The value; fractions stay exact as long as every step allows. Raises ToolError."""
    try:
        return _value(read(formula), names or {})
    except ZeroDivisionError as error:
        raise ToolError("This divides by zero.") from error
    except (OverflowError, ValueError, TypeError, IndexError) as error:
        raise ToolError(f"This cannot be worked out: {error}.") from error
    except RecursionError as error:
        raise ToolError("This formula is nested too deeply.") from error


def shown(value: Number) -> str:
    """For reading: exact where a decimal fraction can be, else the fraction and about how much it is."""
    if isinstance(value, float):
        return f"{value:.15g}"
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1 and exact.denominator < 10**30:
        return _decimal(exact)
    try:
        return f"{exact} (about {float(exact):.15g})"
    except OverflowError:
        return str(exact)


def _decimal(exact: Fraction) -> str:
    places = next(count for count in range(1, 120) if 10**count % exact.denominator == 0)
    whole, rest = divmod(abs(exact.numerator) * 10**places // exact.denominator, 10**places)
    return f"{'-' if exact < 0 else ''}{whole}.{rest:0{places}d}"


def _value(node: ast.expr, names: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=bool() | complex() | str() | bytes() | None):
            raise ToolError("Only numbers can be worked out.")
        case ast.Constant(value=float() as number):
            return Fraction(repr(number)) if math.isfinite(number) else _bounded(number)
        case ast.Constant(value=int() as whole):
            return whole
        case ast.Name(id=name):
            known = {**_CONSTANTS, **names}
            if name not in known:
                raise ToolError(f"{name!r} is not a known number. Functions: {', '.join(FUNCTIONS)}.")
            return known[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, names)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, names)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _bounded(_OPERATORS[type(sign)](_value(left, names), _value(right, names)))
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]) if name in FUNCTIONS:
            return _bounded(FUNCTIONS[name](*_arguments(inner, names)))
    raise ToolError(f"{ast.unparse(node)[:100]!r} is not arithmetic. Functions: {', '.join(FUNCTIONS)}.")


def _arguments(nodes: list[ast.expr], names: Mapping[str, Number]) -> list[Number]:
    """Also those of a list: mean([1, 2, 3])."""
    if len(nodes) == 1 and isinstance(nodes[0], ast.List | ast.Tuple):
        nodes = nodes[0].elts
    return [_value(one, names) for one in nodes]


def _bounded(value: Number) -> Number:
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError("the number is too large")
    if not isinstance(value, float) and _bits(value) > DIGITS * 3.4:
        raise ToolError(f"This number has more than {DIGITS:,} digits.")
    return value


def _bits(value: Number) -> int:
    exact = Fraction(value)
    return max(exact.numerator.bit_length(), exact.denominator.bit_length())


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, Fraction) and exponent.denominator != 1:
        root = _root(base, exponent.denominator) if exponent.denominator < 100 else None
        return _floating(base, exponent) if root is None else _power(root, exponent.numerator)
    if isinstance(exponent, float) or isinstance(base, float):
        return _floating(base, exponent)
    exact = Fraction(base)
    if _bits(exact) > 1 and _bits(exact) * abs(int(exponent)) > DIGITS * 4:
        raise ToolError(f"This number would have more than {DIGITS:,} digits.")
    return exact ** int(exponent)


def _floating(base: Number, exponent: Number) -> float:
    return math.pow(base, exponent)


def _root(value: Number, degree: int) -> Fraction | None:
    """The exact root, where there is one."""
    if isinstance(value, float) or value < 0:
        return None
    exact = Fraction(value)
    try:
        parts = [round(part ** (1 / degree)) for part in (exact.numerator, exact.denominator)]
    except OverflowError:
        return None
    found = Fraction(*parts) if parts[1] else None
    return found if found is not None and found**degree == exact else None


def _sqrt(value: Number) -> Number:
    if value < 0:
        raise ValueError("a negative number has no real square root")
    if not isinstance(value, float):
        exact = Fraction(value)
        found = Fraction(math.isqrt(exact.numerator), math.isqrt(exact.denominator))
        if found**2 == exact:
            return found
    return math.sqrt(value)


def _factorial(value: Number) -> Number:
    if value > 1400:
        raise ToolError(f"This number would have more than {DIGITS:,} digits.")
    return math.factorial(_whole(value))


def _whole(value: Number) -> int:
    if value != int(value):
        raise ValueError(f"{shown(value)} is not a whole number")
    return int(value)


def _choose(count: Callable[[int, int], int]) -> Callable[[Number, Number], Number]:
    def counted(total: Number, chosen: Number) -> Number:
        if total > 10_000:
            raise ToolError("This is too large to count.")
        return count(_whole(total), _whole(chosen))

    return counted


def _round(value: Number, digits: Number = 0) -> Number:
    """Halves go away from zero, as people are taught."""
    if not -100 <= digits <= 100:
        raise ValueError("that many digits cannot be rounded to")
    scale = Fraction(10) ** _whole(digits)
    size = math.floor(abs(Fraction(value)) * scale + Fraction(1, 2)) / scale
    return -size if value < 0 else size


def _median(*values: Number) -> Number:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else _mean(ordered[half - 1], ordered[half])


def _mean(*values: Number) -> Number:
    return _total(*values) / _exact(len(values))


def _variance(*values: Number) -> Number:
    middle = _mean(*values)
    return _total(*((one - middle) * (one - middle) for one in values)) / _exact(len(values) - 1)


def _total(*values: Number) -> Number:
    return sum(values, Fraction(0))


def _exact(value: Number) -> Number:
    return Fraction(value) if isinstance(value, int) else value


_CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: _exact(a) / _exact(b),
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: _power,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": _sqrt,
    "abs": abs,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "sum": _total,
    "mean": _mean,
    "median": _median,
    "variance": _variance,
    "stdev": lambda *values: _sqrt(_variance(*values)),
    "factorial": _factorial,
    "gcd": lambda *values: math.gcd(*map(_whole, values)),
    "lcm": lambda *values: math.lcm(*map(_whole, values)),
    "comb": _choose(math.comb),
    "perm": _choose(math.perm),
    "exp": math.exp,
    "ln": math.log,
    "log": lambda value, base=10: math.log10(value) if base == 10 else math.log(value, base),
    "log2": math.log2,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "degrees": math.degrees,
    "radians": math.radians,
}
