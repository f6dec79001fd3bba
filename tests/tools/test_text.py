"""Data formats and texts, on real ones and bad ones."""

import json
from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext

PEOPLE = '[{"name": "Ada", "age": 36}, {"name": "Bo", "age": 7}]'


@pytest.fixture
def text(tmp_path: Path) -> Toolset:
    return family("text", tmp_path)


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


@pytest.mark.parametrize("kind", ["json", "yaml", "toml", "xml", "csv"])
async def test_data_survives_every_format(text: Toolset, talk: ToolContext, kind: str) -> None:
    saved = await call(text, "convert_data", talk, text=PEOPLE, to=kind, save_as=f"people.{kind}")
    back = await call(text, "convert_data", talk, path=f"people.{kind}", to="json")

    assert saved.files[0].name == f"people.{kind}"
    found = json.loads(back.text)
    rows = {"toml": lambda: found["items"], "xml": lambda: found["root"]["item"]}.get(kind, lambda: found)()
    assert [(row["name"], int(row["age"])) for row in rows] == [("Ada", 36), ("Bo", 7)]


@pytest.mark.parametrize(
    ("given", "to", "made"),
    [
        ("a: 2026-01-31\nb: [1, null]\n", "json", '"2026-01-31"'),
        ("a: {b: null, c: [1]}\n", "toml", "[a]\nc = [\n    1,\n]"),
        ("x = 1\n[t]\ny = true", "yaml", "x: 1\nt:\n  y: true"),
        ("x = 1\n[t]\ny = true", "xml", "<root>\n  <x>1</x>\n  <t>\n    <y>true</y>"),
        ('<a id="1">hi<b/><b>2</b><b>3</b></a>', "json", '"@id": "1"'),
        ('{"a": {"@id": 1, "#text": "hi", "b": null}}', "xml", '<a id="1">hi<b />'),
        ("a;b\n1;2\n", "json", '"b": "2"'),
        ("lonely", "json", "[]"),
        ("[7]", "csv", None),
        ('{"a b": 1}', "xml", None),
        ('[{"a": {"b": [1]}}, {"c": 2}]', "csv", "a,c"),
        ('"just text"', "xml", "<root>just text</root>"),
        ('{"a": NaN}', "json", None),
    ],
)
async def test_conversions(text: Toolset, talk: ToolContext, given: str, to: str, made: str | None) -> None:
    if made is None:
        assert "cannot be written" in (said := await refusal(text, "convert_data", talk, text=given, to=to)) or (
            "not valid" in said
        )
    else:
        assert made in (await call(text, "convert_data", talk, text=given, to=to)).text


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("bomb.yaml", "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)), "more than"),
        ("round.yaml", "&a [*a]", "more than"),
        ("evil.yaml", "!!python/object/apply:os.system [id]", "not valid YAML"),
        ("bomb.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document types"),
        ("file.xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "document types"),
        ("deep.json", "[" * 100_000, "nested too deeply"),
        ("deep.xml", "<a>" * 20_000 + "</a>" * 20_000, "nested too deeply"),
        ("bad.toml", "a = ", "not valid TOML"),
        ("bad.json", '{"a": 1,}', "not valid JSON"),
    ],
)  # fmt: skip
async def test_bad_data_is_refused(text: Toolset, talk: ToolContext, name: str, given: str, said: str) -> None:
    (talk.folder / name).write_text(given)

    assert said in await refusal(text, "convert_data", talk, path=name, to="json")


async def test_deep_values_that_a_format_cannot_say(text: Toolset, talk: ToolContext) -> None:
    assert "deeply" in await refusal(text, "convert_data", talk, text="[" * 400 + "]" * 400, to="yaml")


async def test_files_that_are_no_text(text: Toolset, talk: ToolContext) -> None:
    (talk.folder / "a.bin").write_bytes(b"\xff\xfe\x00")

    assert "not a text file" in await refusal(text, "convert_data", talk, path="a.bin", to="json")
    assert "There is no data" in await refusal(text, "convert_data", talk, to="json")


async def test_queries(text: Toolset, talk: ToolContext) -> None:
    found = await call(text, "query_data", talk, text=PEOPLE, expression="[?age > `30`].name")

    assert json.loads(found.text) == ["Ada"]
    assert "does not work" in await refusal(text, "query_data", talk, text=PEOPLE, expression="[?")
    many = "[].[@,@]" * 5
    assert "make it simpler" in await refusal(text, "query_data", talk, text=PEOPLE, expression=many)
    endless = "|".join(["[@,@]"] * 40)
    assert "more than" in await refusal(text, "query_data", talk, text=PEOPLE, expression=endless)


async def test_validation(text: Toolset, talk: ToolContext) -> None:
    schema = '{"type": "array", "items": {"required": ["name"], "properties": {"age": {"minimum": 18}}}}'

    assert (await call(text, "validate_data", talk, text=PEOPLE)).text == "Valid JSON."
    assert (await call(text, "validate_data", talk, text="a: 1", format="yaml")).text == "Valid YAML."
    assert "$[1].age" in (await call(text, "validate_data", talk, text=PEOPLE, json_schema=schema)).text
    assert (await call(text, "validate_data", talk, text="[]", json_schema=schema)).text == "It fits the schema."
    assert "not valid JSON" in await refusal(text, "validate_data", talk, text="1,2", format="json")
    assert "itself is wrong" in await refusal(text, "validate_data", talk, text="[]", json_schema='{"type": 3}')
    lost = '{"$ref": "http://127.0.0.1:9/x.json"}'
    assert "itself is wrong" in await refusal(text, "validate_data", talk, text="[]", json_schema=lost)
    endless = '{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}'
    assert "round in circles" in await refusal(text, "validate_data", talk, text="[]", json_schema=endless)


async def test_differences(text: Toolset, talk: ToolContext) -> None:
    (talk.folder / "old.txt").write_text("a\nb\n")

    shown = await call(text, "compare_texts", talk, path="old.txt", other="a\nc\n")
    same = await call(text, "compare_texts", talk, text="a", other="a")

    assert "-b\n+c" in shown.text
    assert same.text == "They are the same."
    assert "too many lines" in await refusal(text, "compare_texts", talk, text="\n" * 60_000, other="")


async def test_patterns(text: Toolset, talk: ToolContext) -> None:
    found = await call(text, "find_pattern", talk, text="A1 b2", pattern=r"[a-z]\d", ignore_case=True)
    made = await call(text, "find_pattern", talk, text="2026-01", pattern=r"(\d+)-(\d+)", replacement=r"\2/\1")
    many = await call(text, "find_pattern", talk, text="x" * 200, pattern="x")
    none = await call(text, "find_pattern", talk, text="x", pattern="y")

    assert found.text == "A1\nb2"
    assert made.text == "01/2026"
    assert many.text.endswith("(only the first 100)")
    assert none.text == "No match."
    assert "does not work" in await refusal(text, "find_pattern", talk, text="x", pattern="(")
    assert "does not work" in await refusal(text, "find_pattern", talk, text="x", pattern="x", replacement=r"\7")
    long = "x" * 3000
    assert "too long" in await refusal(text, "find_pattern", talk, text=long, pattern="x", replacement="y" * 9000)
    slow = "a" * 5000 + "!"
    assert "too long" in await refusal(text, "find_pattern", talk, text=slow, pattern=r"^(a|a|aa)+$")


@pytest.mark.parametrize(
    ("operation", "given", "made"),
    [
        ("sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("md5", "abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("base64_encode", "häh", "aMOkaA=="),
        ("base64_decode", "aMOkaA", "häh"),
        ("hex_encode", "ab", "6162"),
        ("hex_decode", "6162", "ab"),
        ("url_encode", "a b&c", "a%20b%26c"),
        ("url_decode", "a%20b", "a b"),
        ("html_escape", "<a>", "&lt;a&gt;"),
        ("html_unescape", "&lt;", "<"),
    ],
)
async def test_encodings(text: Toolset, talk: ToolContext, operation: str, given: str, made: str) -> None:
    assert (await call(text, "encode_text", talk, operation=operation, text=given)).text == made


async def test_what_cannot_be_decoded(text: Toolset, talk: ToolContext) -> None:
    (talk.folder / "a.bin").write_bytes(b"\xff")

    assert "cannot be decoded" in await refusal(text, "encode_text", talk, operation="hex_decode", text="zz")
    assert "cannot be decoded" in await refusal(text, "encode_text", talk, operation="base64_decode", path="a.bin")
    assert len((await call(text, "encode_text", talk, operation="sha1", path="a.bin")).text) == 40
