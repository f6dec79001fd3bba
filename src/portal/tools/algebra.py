"""Symbolic mathematics, as a process of its own: sympy can run for ever, and only a process can be ended.

`python -m portal.tools.algebra` reads {"operation", "formula", "variable", ...} as JSON and writes the result.
"""

import ast
import json
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO, TypeAlias

from portal.errors import ToolError
from portal.tools.formulas import read

Operation: TypeAlias = Literal["solve", "simplify", "expand", "factor", "differentiate", "integrate", "limit"]
Symbolic: TypeAlias = Any
"""An expression of sympy's, which has no types."""
FUNCTIONS = (
    "sqrt", "Abs", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "factorial",
    "floor", "gamma",
)  # fmt: skip
_OTHER_NAMES = {"abs": "Abs", "ln": "log"}
_OPERATORS: dict[type[ast.operator], Callable[[Symbolic, Symbolic], Symbolic]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def symbolic(node: ast.expr) -> Symbolic:
    """The tree as sympy's expression, built by hand: sympy's own reader runs text as code. Raises ToolError."""
    import sympy

    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return sympy.Rational(repr(node.value))
        case ast.Name(id="pi"):
            return sympy.pi
        case ast.Name(id="e" | "E"):
            return sympy.E
        case ast.Name(id="oo" | "inf" | "infinity"):
            return sympy.oo
        case ast.Name(id=name) if not name.startswith("_"):
            return sympy.Symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -symbolic(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return symbolic(inner)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](symbolic(left), symbolic(right))
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]) if _OTHER_NAMES.get(name, name) in FUNCTIONS:
            return getattr(sympy, _OTHER_NAMES.get(name, name))(*(symbolic(one) for one in inner))
    raise ToolError(f"{ast.unparse(node)[:100]!r} cannot be used here. Functions: {', '.join(FUNCTIONS)}.")


def expression(text: str) -> Symbolic:
    """A formula, or an equation as left minus right."""
    left, equals, right = text.partition("=")
    return symbolic(read(left)) - symbolic(read(right.lstrip("="))) if equals else symbolic(read(left))


def work(operation: Operation, formula: str, variable: str, at: str) -> str:
    """The result as text. Several equations of a system are separated by semicolons, as are their variables."""
    import sympy

    parts = [expression(one) for one in formula.split(";") if one.strip()]
    if not parts:
        raise ToolError("There is no formula.")
    names = sorted({str(symbol) for part in parts for symbol in part.free_symbols})
    variables = [sympy.Symbol(one.strip()) for one in (variable or ";".join(names)).replace(",", ";").split(";") if one]
    if operation == "solve":
        if all(sympy.simplify(part) == 0 for part in parts):
            return "True for every value."
        return _solutions(sympy.solve(parts, variables, dict=True))
    if operation in ("simplify", "expand", "factor"):
        return str(getattr(sympy, operation)(parts[0]))
    if len(variables) != 1:
        raise ToolError("Say which `variable` is meant.")
    if operation == "limit":
        return str(sympy.limit(parts[0], variables[0], expression(at or "0")))
    if operation == "differentiate":
        return str(sympy.diff(parts[0], variables[0]))
    low, _, high = at.partition("..")
    span = (variables[0], expression(low), expression(high)) if high else variables[0]
    return str(sympy.integrate(parts[0], span))


def _solutions(found: list[dict[Symbolic, Symbolic]]) -> str:
    if not found:
        return "No solution."
    return "\n".join(", ".join(f"{name} = {_about(value)}" for name, value in one.items()) for one in found)


def _about(value: Symbolic) -> str:
    """With a decimal beside what is exact but not plain."""
    if value.is_number and not value.is_Integer:
        return f"{value} (about {value.evalf(10)})"
    return str(value)


def main(asked: TextIO, out: TextIO, wrong: TextIO) -> int:
    """Answer one request; what is wrong with it is said on the error stream."""
    request = json.load(asked)
    try:
        print(work(request["operation"], request["formula"], request["variable"], request["at"]), file=out)
    except (ToolError, ArithmeticError, ValueError, TypeError, NotImplementedError, RecursionError) as error:
        print(error or type(error).__name__, file=wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout, sys.stderr))
