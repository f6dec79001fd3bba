"""What the protocol's suite of conformance talks to: its own test tools, served as Portal's servers are served. They
have tools and questions to people, so this one has no prompts, resources, logging or sampling either."""

import sys
from collections.abc import Callable, Sequence
from socket import create_server
from typing import Any

import uvicorn

from portal.core.items import JsonObject
from portal.core.tools import ToolFile, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.interfaces.mcp.door import guarded
from portal.interfaces.mcp.serving import Answer, Asker, Identity, Outcome, Question, make_server

PICTURE = ToolFile(name="dot.png", content_type="image/png", data=b"\x89PNG\r\n\x1a\n")
SOUND = ToolFile(name="beep.wav", content_type="audio/wav", data=b"RIFF$\0\0\0WAVE")
TEXT = ToolFile(name="a.txt", content_type="text/plain", data=b"This is an embedded resource content.")
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"}]
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
ENUMS = {
    "untitledSingle": {"type": "string", "enum": OPTIONS},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
Tool = Callable[[JsonObject, Asker], Outcome]


def form(properties: JsonObject, *required: str) -> JsonObject:
    return {"type": "object", "properties": properties, "required": [*required]}


def brings(text: str, *files: ToolFile) -> Tool:
    return lambda arguments, asker: ToolResult(text=text, files=files)


def fails(arguments: JsonObject, asker: Asker) -> Outcome:
    raise ToolError("This tool intentionally returns an error for testing")


def reports(arguments: JsonObject, asker: Asker) -> Outcome:
    for step in ("begins", "is at it", "is through"):
        asker.report(step)
    return ToolResult(text="It is done.")


def asks(question: Question) -> Tool:
    """Asks that, and tells what a person said."""

    def tool(arguments: JsonObject, asker: Asker) -> Outcome:
        if not asker.asks:
            return ToolResult(text="Nobody can be asked through this client.", failed=True)
        said = asker.answer
        if said is None or said.key != question.key or not said.action:
            return question
        return ToolResult(text=f"state-ok: action={said.action}, content={said.content}")

    return tool


def twice(arguments: JsonObject, asker: Asker) -> Outcome:
    said: Answer | None = asker.answer
    if said is None or not said.action:
        return Question(key="step1", text="Step 1: What is your name?", schema=NAME, state="one")
    if said.key == "step1":
        colour = form({"color": {"type": "string"}}, "color")
        return Question(key="step2", text="Step 2: What is your favorite color?", schema=colour, state="two")
    return ToolResult(text=f"Thanks: {said.content}")


ADDRESS = form({"username": {"type": "string"}, "email": {"type": "string"}}, "username", "email")
CONFIRMED = form({"ok": {"type": "boolean"}}, "ok")
CONFIRM = Question(key="confirm", text="Please confirm", schema=CONFIRMED, state="confirming")
TOOLS: dict[str, Tool] = {
    "test_simple_text": brings("This is a simple text response for testing."),
    "test_image_content": brings("", PICTURE),
    "test_audio_content": brings("", SOUND),
    "test_embedded_resource": brings("", TEXT),
    "test_multiple_content_types": brings("Multiple content types test:", PICTURE, TEXT),
    "test_error_handling": fails,
    "test_tool_with_progress": reports,
    "test_elicitation": asks(Question(text="Please provide your information", schema=ADDRESS, state="asked")),
    "test_elicitation_sep1034_defaults": asks(Question(text="Defaults", schema=form(DEFAULTS), state="asked")),
    "test_elicitation_sep1330_enums": asks(Question(text="Choices", schema=form(ENUMS), state="asked")),
    "test_input_required_result_elicitation": asks(
        Question(key="user_name", text="What is your name?", schema=NAME, state="naming")
    ),
    "test_input_required_result_request_state": asks(CONFIRM),
    "test_input_required_result_tampered_state": asks(CONFIRM),
    "test_input_required_result_multi_round": twice,
    "test_streaming_elicitation": asks(CONFIRM),
    "json_schema_2020_12_tool": brings("Well formed."),
}


class Offered:
    """Implements Offer."""

    async def tools(self, asker: Asker) -> Sequence[ToolSpec]:
        plain: JsonObject = {"type": "object", "properties": {}}
        return [
            ToolSpec(
                name=name,
                description=f"A tool of the suite: {name}",
                parameters=SCHEMA if name.startswith("json_schema") else plain,
                risk="read",
                toolset="conformance",
            )
            for name in TOOLS
        ]

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> Outcome:
        return TOOLS[spec.name](arguments, asker)


def main() -> None:
    server: Any = make_server(Identity(name="conformance", title="Conformance", instructions=""), Offered())
    with create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(guarded(server, path="/mcp", key=""), log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
