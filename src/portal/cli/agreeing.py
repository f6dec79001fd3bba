"""Questions before something is done, to the person at the terminal; where there is none, nothing is asked or done."""

import sys

import click

from portal.errors import PortalError


def has_person() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str, *, yes: bool, otherwise: str) -> None:
    """Go on if the person says yes, or has said it with the command.

    Raises:
        PortalError: says `otherwise`, such as "Nothing was deleted": for a no, and where nobody can be asked.
    """
    if yes:
        return
    if not has_person():
        raise PortalError(f"{otherwise}: there is no terminal to ask on. Look at what it does, then say --yes.")
    if not click.confirm(question, default=False, err=True):
        raise PortalError(f"{otherwise}.")


def secret(question: str, *, twice: bool, instead: str) -> str:
    """What the person types, unseen. Raises PortalError where nobody can be asked: what to say `instead`."""
    if not has_person():
        raise PortalError(f"There is no terminal to ask on: {instead}")
    return str(click.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))
