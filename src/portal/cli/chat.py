"""A conversation in the terminal, kept on the server like one of the page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portal.cli.answer import Answer
from portal.cli.asking import decided, shown
from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import PortalError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings

HISTORY = "chat-history"
HELP = """\
Enter sends, Alt+Enter makes a new line, Up brings back earlier questions, Ctrl+C stops an answer.
  /model          show the models       /model NAME   answer with this one
  /new            start a new conversation
  /help           this                  /quit         leave (also Ctrl+D)"""
CLOUD = "Only models in the cloud are there, and Portal sends nothing there by itself: /model NAME chooses one."


@click.command()
@click.option("-m", "--model", default="auto", show_default=True, help="The model that answers.")
@data_dir_option
def chat(model: str, data_dir: Path | None) -> None:
    """Chat in the terminal, with streaming and formatted text."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PortalError(f'A chat needs a terminal. For scripts and pipes: {called_as()} ask "..."')
    folder = data_folder(data_dir)
    client = need_running(folder, called_as).client()
    talk = Talk(client, model=model, called_as=called_as())
    talk.greet()
    session = _session(folder / HISTORY)
    while True:
        try:
            if not talk.take(_typed(session, talk)):
                return
        except KeyboardInterrupt:
            click.echo("Ctrl+D leaves.")
        except EOFError:
            return
        except PortalError as error:
            click.echo(f"Error: {error.message}", err=True)


def _typed(session: "PromptSession[str]", talk: "Talk") -> str:
    """What the person types; while there is no model yet, the prompt says when one was found."""
    if not talk.waits_for_model:
        return session.prompt("> ").strip()
    from prompt_toolkit.patch_stdout import patch_stdout

    from portal.cli.lookout import Lookout

    with patch_stdout(), Lookout(talk.client, talk.found):
        return session.prompt("> ").strip()


class Talk:
    """What was typed, answered: commands here, questions by the server."""

    def __init__(self, client: Client, *, model: str, called_as: str) -> None:
        from rich.console import Console

        self.client = client
        self.waits_for_model = False
        """The guide answers because there was no model yet."""
        self._model = model
        self._called_as = called_as
        self._conversation: str | None = None
        self._console = Console()

    def greet(self) -> None:
        """Say who will answer; where none would, how to get or choose one, and the guide answers meanwhile."""
        from portal.cli.announcement import FIRST_RUN, GUIDE_MODEL, answers_by_itself, has_model

        seen = self.client.get("/portal/v1/models")
        if self._model == "auto" and not answers_by_itself(seen):
            self._model, self.waits_for_model = GUIDE_MODEL, not has_model(seen)
            click.echo(FIRST_RUN.format(name=self._called_as) if self.waits_for_model else CLOUD)
        auto = f" ({seen['auto']['model']})" if self._model == "auto" else ""
        click.echo(f"{self._model}{auto} answers. /help lists the commands, Ctrl+D leaves.")

    def found(self, seen: dict[str, Any]) -> None:
        """A model is there by now: it answers from now on, unless it is to be chosen by its name."""
        from portal.cli.announcement import answers_by_itself, found_by_now

        self.waits_for_model = False
        click.echo(f"Found {found_by_now(seen)}")
        if answers_by_itself(seen):
            self._model = "auto"
            click.echo(f"auto ({seen['auto']['model']}) answers from now on.")
        else:
            click.echo(CLOUD)

    def take(self, line: str) -> bool:
        """Answer one input; False to leave. Raises PortalError."""
        if line.startswith("/"):
            return self._command(*line[1:].partition(" ")[::2])
        if line:
            self._ask(line)
        return True

    def _command(self, name: str, argument: str) -> bool:
        if name in ("quit", "exit"):
            return False
        if name == "new":
            self._conversation = None
            click.echo("A new conversation.")
        elif name == "model":
            self._choose(argument.strip())
        else:
            click.echo(HELP if name == "help" else f"There is no command /{name}.\n{HELP}")
        return True

    def _choose(self, wanted: str) -> None:
        listed = self.client.get("/v1/models")["data"]
        names = [one["id"] for one in listed if "chat" in one.get("capabilities", ["chat"])]
        if wanted in names:
            self._model, self.waits_for_model = wanted, False
            click.echo(f"{wanted} answers from now on.")
            return
        if wanted:
            click.echo(f"There is no model {wanted!r}. There are:")
        click.echo("\n".join(f"{'*' if name == self._model else ' '} {name}" for name in names))

    def _ask(self, question: str) -> None:
        answer: Answer | None = Answer(self.client, self._request(question))
        while answer is not None:
            self._follow(answer)
            answer = self._decided(answer) if answer.waiting else None

    def _decided(self, answer: Answer) -> Answer | None:
        """The answer that goes on, once the person has decided."""
        try:
            return decided(self.client, answer)
        except click.Abort:
            click.echo(f"\nIt waits for you: {self._called_as} approvals list")
            return None

    def _follow(self, answer: Answer) -> None:
        try:
            self._show(answer)
        except KeyboardInterrupt:
            answer.cancel()
            click.echo("(stopped)")
            return
        for line in answer.asides:
            click.secho(line, dim=True)
        if answer.dropped:
            click.secho(f"(The {answer.dropped} oldest messages did not fit: the model does not know them.)", dim=True)
        if answer.cut_short and not answer.waiting:
            click.echo(f"(incomplete: {answer.cut_short})")

    def _request(self, question: str) -> dict[str, Any]:
        if self._conversation is None:
            self._conversation = self.client.send("POST", "/v1/conversations", {})["id"]
        place = {"conversation": self._conversation, "truncation": "auto"}  # so that a long chat goes on
        return {"model": self._model, "input": question, **place}

    def _show(self, answer: Answer) -> None:
        from portal.cli.screen import MarkdownScreen

        with MarkdownScreen(self._console) as screen:
            screen.note("...")
            shown(self.client, answer, screen)


def _session(history: Path) -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    history.touch(mode=0o600, exist_ok=True)
    return PromptSession(history=FileHistory(history), multiline=True, key_bindings=_keys(), prompt_continuation="  ")


def _keys() -> "KeyBindings":
    """Enter sends; Alt+Enter makes a new line."""
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("escape", "c-j")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
