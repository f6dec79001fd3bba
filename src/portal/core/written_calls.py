"""Tool calls that a model writes as text, in the ways of the model families, taken out of an answer as it streams.

    <tool_call>{"name": ..., "arguments": {...}}</tool_call>      Qwen, Hermes and many others; GLM's and Qwen-Coder's
                                                                  <arg_key> and <parameter=...> inside it as well
    <function=NAME>{...}</function>                               Llama 3.1, Qwen-Coder
    [TOOL_CALLS][{...}]  or  [TOOL_CALLS]NAME[ARGS]{...}          Mistral
    <|python_tag|>NAME(a=1)  or JSON                              Llama
    <|tool_call|>[{...}]   functools[{...}]                       Granite, Phi
    <|tool_call_start|>[NAME(a=1)]<|tool_call_end|>               LFM
    a whole answer that is such JSON or [NAME(a=1)], fenced or   models that know no other way; others may show such
    not                                                          a thing to a person, so that it is none of theirs

What turns out to be none, and what stands in a block of code, stays text: nothing that a model wrote is lost.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.marks import held_back
from portal.core.model import ModelEvent, TextDelta, ToolCallDelta

_FIRST_INDEX = 1000
"""Behind the calls that a server tells apart by itself."""
_LONGEST = 2**18


_MOST = 64
"""Calls in one mark."""


@dataclass(frozen=True, slots=True)
class _Mark:
    opening: str
    closing: str
    """Empty: the end of the answer."""


_MISTRAL = "[TOOL_CALLS]"
_FENCED = _Mark("```", "```")
_WHOLE = _Mark("", "")
"""An answer that may be a call and nothing else."""
_MARKS = (
    _Mark("<tool_call>", "</tool_call>"),
    _Mark("<function=", "</function>"),
    _Mark(_MISTRAL, ""),
    _Mark("<|python_tag|>", ""),
    _Mark("<|tool_call|>", ""),
    _Mark("functools[", ""),
    _Mark("<|tool_call_start|>", "<|tool_call_end|>"),
    _FENCED,
)
_MAYBE = re.compile(r"""\s*(?:\[\s*)?(?:\{\s*["'](?:name|function|tool|tool_name|type)["']|[A-Za-z_]\w*\()""")
_FENCE = re.compile(r"```[\w-]*\n(.*?)\s*```", re.DOTALL)
_ARGUMENT = re.compile(r"<parameter=([^>]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_PAIR = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_CALLED = re.compile(r"""\s*\{?\s*["']?name["']?\s*[:=]\s*["']([\w.-]+)["']""")
_PASSED = re.compile(r"""["']?(?:arguments|parameters)["']?\s*:""")
_NAMED = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\][^\[]*)?(?:\[ARGS\])?\s*(?=\{)")

Call = tuple[str, str]
"""Name and arguments as JSON text."""


class WrittenCalls:
    """Feed it the text of one answer; it gives text and calls."""

    def __init__(self, names: Collection[str], *, bare: bool) -> None:
        """`names` are the tools that the model was offered; `bare` is whether an answer that is just the JSON or
        Python of a call is one."""
        self._names = names
        self._bare = bare
        self._buffer = ""
        self._inside: _Mark | None = None
        self._begun = False
        self._count = 0
        self._logprobs: list[JsonObject] = []

    def feed(self, delta: TextDelta) -> list[ModelEvent]:
        """What is certain now; logprobs come with the text that they stand for, or the next."""
        if not self._buffer and self._inside is None and self._begun and not _suspicious(delta.text):
            return [delta]
        self._buffer += delta.text
        self._logprobs.extend(delta.logprobs or ())
        made: list[ModelEvent] = []
        while self._step(made):
            pass
        return made

    def end(self) -> list[ModelEvent]:
        """At the end of the answer: what was held back."""
        made: list[ModelEvent] = []
        mark, text = self._inside, self._buffer
        self._inside, self._buffer = None, ""
        if mark is not None and mark is not _FENCED:
            self._take(mark, text, made, closed=not mark.closing)
        else:
            self._say(text, made)
        return made

    def _step(self, made: list[ModelEvent]) -> bool:
        """Go up to the next mark; whether there may be more."""
        if self._inside is _FENCED:
            return self._quoted(made)
        if self._inside is not None:
            return self._within(self._inside, made)
        if not self._begun:
            self._buffer = self._buffer.lstrip()
            if not self._buffer or any(one.startswith(self._buffer) and one != self._buffer for one in _UNSURE):
                return False
            self._begun = True
            if self._bare and self._buffer.startswith(("{", "[", "```")) and not self._buffer.startswith(_MISTRAL):
                self._inside = _WHOLE
                return True
        found = [(place, mark) for mark in _MARKS if (place := self._buffer.find(mark.opening)) >= 0]
        if found:
            place, mark = min(found, key=lambda each: each[0])
            quoted = mark is _FENCED
            self._say(self._buffer[: place + 3 * quoted], made)
            self._buffer, self._inside = self._buffer[place + len(mark.opening) :], mark
            return True
        self._say_but(held_back(self._buffer, [mark.opening for mark in _MARKS]), made)
        return False

    def _quoted(self, made: list[ModelEvent]) -> bool:
        """In a block of code, up to its end."""
        place = self._buffer.find(_FENCED.closing)
        if place < 0:
            self._say_but(held_back(self._buffer, [_FENCED.closing]), made)
            return False
        self._say_but(len(self._buffer) - place - len(_FENCED.closing), made)
        self._inside = None
        return True

    def _within(self, mark: _Mark, made: list[ModelEvent]) -> bool:
        place = self._buffer.find(mark.closing) if mark.closing else -1
        if place < 0:
            if len(self._buffer) <= _LONGEST and (mark is not _WHOLE or _possible(self._buffer)):
                return False
            self._inside = None
            self._say(mark.opening, made)
            return True
        text, self._buffer = self._buffer[:place], self._buffer[place + len(mark.closing) :]
        self._inside = None
        self._take(mark, text, made, closed=True)
        return True

    def _take(self, mark: _Mark, text: str, made: list[ModelEvent], *, closed: bool) -> None:
        fenced = _FENCE.fullmatch(text.strip()) if mark is _WHOLE else None
        calls = list(_calls(mark.opening, fenced[1] if fenced else text))
        if not calls and mark.opening == "<tool_call>":
            calls = _broken(text, self._names)
        if not calls or (mark is _WHOLE and any(name not in self._names for name, _ in calls)):
            self._say(f"{mark.opening}{text}{mark.closing if closed else ''}", made)
            return
        self._logprobs = []
        for name, arguments in calls:
            made.append(ToolCallDelta(_FIRST_INDEX + self._count, new_id("call"), name, arguments))
            self._count += 1

    def _say_but(self, held: int, made: list[ModelEvent]) -> None:
        """What is in the buffer, but for so many characters."""
        place = len(self._buffer) - held
        self._say(self._buffer[:place], made)
        self._buffer = self._buffer[place:]

    def _say(self, text: str, made: list[ModelEvent]) -> None:
        """White space beside calls is none of the answer's."""
        if text and (text.strip() or not self._count):
            made.append(TextDelta(text, logprobs=self._logprobs or None))
            self._logprobs = []


_UNSURE = (_MISTRAL, "```")
"""Beginnings of an answer that are waited for."""


def _suspicious(text: str) -> bool:
    return any(character in text for character in "<[`f")


def _possible(text: str) -> bool:
    """Whether a whole answer may become a call."""
    if text.startswith("```"):
        head, newline, text = text.partition("\n")
        if not newline:
            return len(head) < 24
    return len(text) < 24 or _MAYBE.match(text) is not None


def _broken(text: str, names: Collection[str]) -> list[Call]:
    """A call of an offered tool that does not read: as it was written, so that the model is told what is wrong."""
    named, passed = _CALLED.match(text), _PASSED.search(text)
    if named is None or named[1] not in names:
        return []
    return [(named[1], text[passed.end() :].strip().removesuffix("}") if passed else text.strip())]


def _calls(opening: str, text: str) -> Iterator[Call]:
    """The calls in a marked text; none where it is not one, or not whole."""
    if opening == "<function=":
        yield from _function(text)
    elif opening == _MISTRAL and _NAMED.match(text):
        yield from _named_calls(text)
    elif opening == "<tool_call>" and "<function=" in text:
        yield from _function(text.strip().removeprefix("<function=").removesuffix("</function>"))
    elif opening == "<tool_call>" and (pairs := _PAIR.findall(text)):
        yield text.partition("<")[0].strip(), _arguments(pairs)
    else:
        whole = f"[{text}" if opening == "functools[" else text
        yield from _json_calls(whole) or _python_calls(whole)


def _named_calls(text: str) -> Iterator[Call]:
    """NAME[ARGS]{...}, and further ones behind a mark each."""
    for _ in range(_MOST):
        named = _NAMED.match(text)
        arguments, rest = _json_prefix(text[named.end() :]) if named else (None, "")
        if named is None or not isinstance(arguments, dict):
            return
        yield named[1], json.dumps(arguments)
        text = rest.strip().removeprefix(_MISTRAL)


def _function(text: str) -> Iterator[Call]:
    """NAME>{...} or NAME><parameter=...>"""
    name, _, inner = text.partition(">")
    inner = inner.strip()
    if _ARGUMENT.search(inner) or not inner:
        yield name.strip(), _arguments(_ARGUMENT.findall(inner))
    elif isinstance(_json(inner), dict):
        yield name.strip(), inner


def _arguments(pairs: Sequence[tuple[str, str]]) -> str:
    """Values that read as JSON are taken so; the schema tells later what was meant."""
    return json.dumps({name.strip(): _json(value, value.strip()) for name, value in pairs}, ensure_ascii=False)


def _json_calls(text: str) -> list[Call]:
    value, rest = _json_prefix(text.strip())
    values = [value]
    while rest.strip(" \n;,") and value is not None and len(values) <= _MOST:
        value, rest = _json_prefix(rest.strip(" \n;,"))
        values.append(value)
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    calls = [_json_call(one) for one in flat]
    return [call for call in calls if call] if all(calls) and len(values) <= _MOST else []


def _json_call(value: Any) -> Call | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = next((value[key] for key in ("name", "function", "tool_name", "tool") if key in value), None)
    if not isinstance(name, str):
        return None
    arguments: Any = next((value[key] for key in ("arguments", "parameters", "args", "input") if key in value), {})
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _python_calls(text: str) -> list[Call]:
    """[f(a=1), g()] or f(a=1): constants only, nothing is evaluated."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    made = [_python_call(one) for one in (tree.elts if isinstance(tree, ast.List) else [tree])]
    return [call for call in made if call] if all(made) else []


def _python_call(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    try:
        name = ast.unparse(node.func).removesuffix(".call")
        arguments: dict[str, Any] = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
        return name, json.dumps(arguments, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _json(text: str, otherwise: Any = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def _json_prefix(text: str) -> tuple[Any, str]:
    """The JSON value that the text begins with, and what follows it; None and nothing where there is none."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return value, text[end:]
