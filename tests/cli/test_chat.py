"""A conversation on a real terminal."""

import stat

from tests.cli.conftest import Installation, ModelServerThread, Terminal

from portal.testing.model_server import Answer, Fault

ENTER, NEW_LINE, INTERRUPT, END = "\r", "\x1b\r", "\x03", "\x04"


def test_questions_and_answers_are_one_conversation_on_the_server(
    shared: Installation, ollama: ModelServerThread
) -> None:
    ollama.server.answer("The first", " **answer**.")
    ollama.server.answer("The second answer.")

    with Terminal(shared, "chat") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("One" + ENTER)
        terminal.until("The first answer.")
        terminal.type("Two" + NEW_LINE + "lines" + ENTER)
        terminal.until("The second answer.")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0

    assert ollama.told() == ["One", "The first **answer**.", "Two\nlines"]
    client = shared.server_file().client()
    newest = client.get("/portal/v1/conversations")["data"][0]["id"]
    assert len(client.get(f"/portal/v1/conversations/{newest}/turns")["data"]) == 2
    assert stat.S_IMODE((shared.data_dir / "chat-history").stat().st_mode) == 0o600


def test_ctrl_c_stops_the_answer_and_not_the_chat(shared: Installation, ollama: ModelServerThread) -> None:
    ollama.server.script(Answer(text=["It goes ", "on"], fault=Fault.HANG, after=1))

    with Terminal(shared, "chat") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("Go" + ENTER)
        terminal.until("It goes")
        terminal.type(INTERRUPT)
        terminal.until("(stopped)")
        ollama.run(ollama.server.wait_active(0))
        terminal.prompt()
        terminal.type("Still there?" + ENTER)
        terminal.prompt()
        terminal.type("half typed" + INTERRUPT)
        terminal.until("Ctrl+D leaves", times=2)
        terminal.type("/quit" + ENTER)
        assert terminal.wait() == 0


def test_a_chat_longer_than_the_models_window_goes_on_and_says_so(
    shared: Installation, ollama: ModelServerThread
) -> None:
    ollama.server.answer("word " * 6000 + "The end.")
    ollama.server.answer("The second answer.")

    with Terminal(shared, "chat", "-m", "tiny:latest") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("One" + ENTER)
        terminal.until("The end.")
        terminal.prompt()
        terminal.type("Two" + ENTER)
        terminal.until("The second answer.")
        terminal.until("The 2 oldest messages did not fit")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0

    assert ollama.told() == ["Two"]


def test_its_own_commands(shared: Installation, ollama: ModelServerThread) -> None:
    with Terminal(shared, "chat") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("/help" + ENTER)
        terminal.until("start a new conversation")
        terminal.type("/model" + ENTER)
        terminal.until("tiny:latest")
        terminal.type("/model nonsense" + ENTER)
        terminal.until("There is no model 'nonsense'")
        assert "portal-guide" in terminal.seen
        assert "minilm" not in terminal.seen  # which only embeds
        terminal.type("/model tiny:latest" + ENTER)
        terminal.until("answers from now on")
        terminal.type("/wat" + ENTER)
        terminal.until("There is no command /wat")
        terminal.type(ENTER + "First" + ENTER)
        terminal.until("First", times=2)
        terminal.type("/new" + ENTER)
        terminal.until("A new conversation")
        terminal.type("Second" + ENTER)
        terminal.until("Second", times=2)
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0

    assert ollama.told() == ["Second"]


def test_a_failure_is_told_and_the_chat_goes_on(shared: Installation, ollama: ModelServerThread) -> None:
    ollama.server.script(Answer(status=500, error="no memory left"))
    ollama.server.script(Answer(text=["Cut"], finish="length"))

    with Terminal(shared, "chat", "-m", "tiny:latest") as terminal:
        terminal.until("Ctrl+D leaves")
        terminal.type("Go" + ENTER)
        terminal.until("no memory left")
        terminal.type("Again" + ENTER)
        terminal.until("(incomplete: max_output_tokens)")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0


def test_without_a_model_the_guide_answers(installation: Installation) -> None:
    installation.up()

    with Terminal(installation, "chat") as terminal:
        terminal.until("Install Ollama")
        terminal.until("portal-guide answers")
        terminal.type("How do I make an API key?" + ENTER)
        terminal.until("From the manual")
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0


def test_a_model_that_comes_while_one_chats_is_told_and_answers(
    installation: Installation, ollama: ModelServerThread
) -> None:
    installation.up()

    with Terminal(installation, "chat") as terminal:
        terminal.until("portal-guide answers")
        terminal.prompt()
        assert installation.run("backends", "add", "ollama", ollama.server.url).returncode == 0
        terminal.until(f"Found ollama {ollama.server.url}: tiny:latest")
        terminal.until("auto (tiny:latest) answers from now on.")
        terminal.type("Say this" + ENTER)
        terminal.until("Say this", times=2)
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0

    assert ollama.told() == ["Say this"]


def test_earlier_questions_come_back_with_up_also_in_the_next_chat(
    shared: Installation, ollama: ModelServerThread
) -> None:
    with Terminal(shared, "chat") as terminal:
        terminal.prompt()
        terminal.type("The question before" + ENTER)
        terminal.until("The question before", times=2)
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0
    with Terminal(shared, "chat") as terminal:
        terminal.prompt()
        terminal.type("\x1b[A" + ENTER)
        terminal.until("The question before", times=2)
        terminal.prompt()
        terminal.type(END)
        assert terminal.wait() == 0

    assert ollama.told() == ["The question before"]


def test_without_a_terminal_it_names_the_command_for_pipes(shared: Installation) -> None:
    done = shared.run("chat")

    assert done.returncode == 1
    assert "portal ask" in done.stderr
