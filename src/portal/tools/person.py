"""Asking the person."""

from typing import Annotated, Literal

from portal.tools.families import Needs
from portal.tools.function import Functions, tool


@tool(risk="read", title="Ask you", question=True)
def ask_user(
    question: Annotated[str, "One question, with what the person needs to know to answer it"],
    choices: Annotated[list[str], "Answers to choose from, if there are just a few"] = [],  # noqa: B006
    kind: Annotated[Literal["text", "number"], "What the answer is, where there are no choices"] = "text",
) -> str:
    """Ask the person something that you need to know and cannot find out yourself, then wait for the answer."""
    raise AssertionError("a question is answered by a person, never run")


def create(needs: Needs) -> Functions:
    """The family."""
    return Functions("person", [ask_user])
