"""Tools for texts and data formats: convert, query, check, compare, find and replace, hashes and encodings."""

import base64
import binascii
import difflib
import hashlib
import html
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote, unquote

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.formats import Format, Value, as_json, bounded, dump, guess, parse
from portal.tools.function import Functions, tool

if TYPE_CHECKING:
    import regex

LARGEST = 20 * 2**20
"""Bytes of a text."""
SECONDS = 2
"""For one regular expression."""
MATCHES = 100

Text = Annotated[str, "The text itself"]
File = Annotated[str, "Or a file that holds it"]
Encoding = Literal[
    "base64_encode", "base64_decode", "url_encode", "url_decode", "hex_encode", "hex_decode", "html_escape",
    "html_unescape", "md5", "sha1", "sha256", "sha512",
]  # fmt: skip


class Texts:
    """The family, with the folders it may read."""

    def __init__(self, *, folders: Folders) -> None:
        self._folders = folders

    @tool(risk="read", scopes={"path": "path"})
    def convert_data(
        self,
        to: Annotated[Format, "Format wanted"],
        context: ToolContext,
        text: Text = "",
        path: File = "",
        save_as: Annotated[str, "Name of a file for the result"] = "",
    ) -> ToolResult:
        """Convert data between JSON, YAML, TOML, XML and CSV."""
        made = dump(self._data(text, path, context), to)
        if save_as:
            return ToolResult(text=f"Saved as {save_as}.", files=(keep(context, save_as, made.encode()),))
        return ToolResult(text=made)

    @tool(risk="read", scopes={"path": "path"})
    def query_data(
        self,
        expression: Annotated[str, "JMESPath, such as people[?age > `30`].name"],
        context: ToolContext,
        text: Text = "",
        path: File = "",
    ) -> str:
        """Pick values out of JSON, YAML, TOML, XML or CSV data with a JMESPath expression."""
        import jmespath
        from jmespath.exceptions import JMESPathError

        if len(expression) > 500 or expression.count("[]") > 4:
            raise ToolError("This expression is too long; make it simpler.")
        try:
            found = jmespath.search(expression, self._data(text, path, context))
            bounded(found)
            return as_json(found)
        except (JMESPathError, RecursionError) as error:
            raise ToolError(f"This expression does not work: {error}") from error

    @tool(risk="read", scopes={"path": "path"})
    def validate_data(
        self,
        context: ToolContext,
        text: Text = "",
        path: File = "",
        format: Annotated[Format | Literal[""], "Its format, where it is not plain to see"] = "",
        json_schema: Annotated[str, "A JSON Schema it must fit"] = "",
    ) -> str:
        """Check whether JSON, YAML, TOML, XML or CSV is well formed, and fits a JSON Schema if one is given."""
        held = self._text(text, path, context)
        kind = format or guess(held, path)
        value = parse(held, kind)
        return _fits(value, json_schema) if json_schema else f"Valid {kind.upper()}."

    @tool(risk="read", scopes={"path": "path", "other_path": "path"})
    def compare_texts(
        self,
        context: ToolContext,
        text: Annotated[str, "The text before"] = "",
        other: Annotated[str, "The text after"] = "",
        path: Annotated[str, "Or the file before"] = "",
        other_path: Annotated[str, "Or the file after"] = "",
    ) -> str:
        """Show the differences between two texts or files, line by line."""
        before = self._text(text, path, context).splitlines()
        after = self._text(other, other_path, context).splitlines()
        if len(before) + len(after) > 50_000:
            raise ToolError("These texts have too many lines to compare.")
        found = difflib.unified_diff(before, after, path or "before", other_path or "after", lineterm="", n=2)
        return "\n".join(found) or "They are the same."

    @tool(risk="read", scopes={"path": "path"})
    def find_pattern(
        self,
        pattern: Annotated[str, "Regular expression"],
        context: ToolContext,
        text: Text = "",
        path: File = "",
        replacement: Annotated[str | None, r"Gives the whole text with each match replaced; \1 is a group"] = None,
        ignore_case: bool = False,
    ) -> str:
        """Find all matches of a regular expression in a text, or replace them."""
        import regex

        held = self._text(text, path, context)
        try:
            made = regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
            if replacement is not None:
                return made.sub(_expanding(replacement), held, timeout=SECONDS)
            found = [each.group() for each in islice(made.finditer(held, timeout=SECONDS), MATCHES + 1)]
        except (regex.error, IndexError) as error:
            raise ToolError(f"This pattern does not work: {error}") from error
        except TimeoutError as error:
            raise ToolError("This pattern takes too long on this text; make it simpler.") from error
        more = f"\n(only the first {MATCHES})" if len(found) > MATCHES else ""
        return "\n".join(found[:MATCHES]) + more if found else "No match."

    @tool(risk="read", scopes={"path": "path"})
    def encode_text(self, operation: Encoding, context: ToolContext, text: Text = "", path: File = "") -> str:
        """Hash a text or file (md5, sha1, sha256, sha512), or encode and decode base64, URL, hex and HTML."""
        data = self._folders.file(path, context, largest=LARGEST).read() if path else text.encode()
        if operation in ("md5", "sha1", "sha256", "sha512"):
            return hashlib.new(operation, data, usedforsecurity=False).hexdigest()
        if operation == "base64_encode":
            return base64.b64encode(data).decode()
        if operation == "hex_encode":
            return data.hex()
        try:
            return _CODES[operation](data.decode())
        except (binascii.Error, ValueError) as error:
            raise ToolError(f"This cannot be decoded: {error}") from error

    def _text(self, text: str, path: str, context: ToolContext) -> str:
        if not path:
            return text
        found = self._folders.file(path, context, largest=LARGEST)
        try:
            return found.read().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise ToolError(f"{path!r} is not a text file.") from error

    def _data(self, text: str, path: str, context: ToolContext) -> Value:
        held = self._text(text, path, context)
        if not held.strip():
            raise ToolError("There is no data: give `text` or `path`.")
        return parse(held, guess(held, path))


_CODES: dict[str, Callable[[str], str]] = {
    "base64_decode": lambda text: base64.b64decode(text + "=" * (-len(text) % 4), altchars=None).decode(),
    "hex_decode": lambda text: bytes.fromhex(text).decode(),
    "url_encode": lambda text: quote(text, safe=""),
    "url_decode": unquote,
    "html_escape": html.escape,
    "html_unescape": html.unescape,
}


def _expanding(replacement: str) -> Callable[["regex.Match[str]"], str]:
    """What each match becomes; in all no more than a text may be long."""
    room = LARGEST

    def expand(match: "regex.Match[str]") -> str:
        nonlocal room
        made = match.expand(replacement)
        room -= len(made)
        if room < 0:
            raise ToolError("The replaced text would be too long.")
        return made

    return expand


def _fits(value: Value, schema: str) -> str:
    from jsonschema import exceptions
    from jsonschema.validators import validator_for
    from referencing import exceptions as references

    rules = parse(schema, "json")
    kind = validator_for(rules)
    try:
        kind.check_schema(rules)
        wrong = [f"{each.json_path}: {each.message}"[:300] for each in kind(rules).iter_errors(value)]
    except (exceptions.SchemaError, references.Unresolvable) as error:
        raise ToolError(f"The schema itself is wrong: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise ToolError("The schema goes round in circles.") from error
    return "\n".join(["It does not fit the schema:", *wrong[:20]]) if wrong else "It fits the schema."


def create(needs: Needs) -> Toolset:
    """The family `text`."""
    texts = Texts(folders=granted(needs.settings))
    return Functions(
        "text",
        [
            texts.convert_data,
            texts.query_data,
            texts.validate_data,
            texts.compare_texts,
            texts.find_pattern,
            texts.encode_text,
        ],
    )
