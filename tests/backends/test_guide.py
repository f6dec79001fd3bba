"""The guide as a backend: what it answers, cites and refuses."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from portal.backends.guide import MODEL, Guide, GuideBackend, create
from portal.backends.kinds import backend_from
from portal.backends.manual import Manual, Section, packaged_manual
from portal.backends.passages import Passages
from portal.backends.words import packaged_lexicon
from portal.core.model import Citation, Finished, ModelRequest, TextDelta, TokenUsage
from portal.core.ports import Backend
from portal.settings import BackendSettings, Settings

PAGES = {
    "kitchen.md": """# The kitchen

What is in the kitchen.

## Boil an egg

Put the egg into boiling water for seven minutes. See [the pans](tools.md#pans).

```
boil --minutes 7 egg
```

## Peel a potato

Use the small knife with the red handle.
""",
    "tools.md": """# Tools

## Pans

There are three pans in the lower cupboard.

## The oven does not heat

The fuse is gone. Screw in another fuse.
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def guide(folder: Path) -> GuideBackend:
    return GuideBackend(manual=Manual(folder))


async def test_the_manual_is_indexed_beside_the_event_loop_and_once(folder: Path) -> None:
    reading: list[threading.Thread] = []

    class Watched(Manual):
        def sections(self) -> Sequence[Section]:
            reading.append(threading.current_thread())
            return super().sections()

    guide = Guide(manual=Watched(folder))
    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(guide.search(["How do I boil an egg?"])) for _ in range(2)]
    assert [one.result()[1][0].section.title for one in answers] == ["Boil an egg"] * 2
    assert len(reading) == 1
    assert reading[0] is not threading.current_thread()


@pytest.fixture(scope="module")
def packaged() -> GuideBackend:
    """That of the install: its index takes half a second."""
    return GuideBackend(manual=packaged_manual())


async def ask(guide: Backend, *questions: object) -> tuple[str, list[Citation]]:
    messages = [{"role": "user", "content": question} for question in questions]
    events = [event async for event in guide.stream(ModelRequest(model=MODEL, messages=messages))]
    assert isinstance(events[-1], TokenUsage)
    assert events[-1].estimated
    assert events[-2] == Finished("stop")
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, [event for event in events if isinstance(event, Citation)]


async def test_an_answer_quotes_its_section_word_for_word_and_cites_it(guide: GuideBackend, folder: Path) -> None:
    text, [citation] = await ask(guide, "How long do I boil an egg?")

    made = citation.annotation
    quoted = text[made["start_index"] : made["end_index"]]
    assert made["type"] == "url_citation"
    assert made["url"] == "/manual/kitchen#boil-an-egg"
    assert made["title"] == "The kitchen › Boil an egg"
    assert quoted in Manual(folder).page("kitchen").markdown
    assert quoted.startswith("Put the egg into boiling water")
    assert "boil --minutes 7 egg" in quoted


async def test_the_next_step_is_the_section_that_is_referred_to(guide: GuideBackend) -> None:
    text, _ = await ask(guide, "boil an egg")

    assert text.endswith("Next: [Tools › Pans](/manual/tools#pans)")


async def test_the_next_step_is_else_the_section_below(guide: GuideBackend) -> None:
    text, _ = await ask(guide, "Where are the pans?")

    assert text.endswith("Next: [Tools › The oven does not heat](/manual/tools#the-oven-does-not-heat)")


async def test_the_last_section_of_a_page_has_no_next_step(guide: GuideBackend) -> None:
    text, _ = await ask(guide, "peel a potato")

    assert "red handle" in text
    assert "Next:" not in text


async def test_slips_are_mended_before_a_question_is_felt_and_what_is_a_word_stays(folder: Path) -> None:
    passages = Passages(sections=Manual(folder).sections(), lexicon=packaged_lexicon())

    assert (
        passages.mended("Where is the cubpoard of Mr. Xqzvw? Boil it!")
        == "Where is the cupboard of Mr. Xqzvw? Boil it!"
    )


async def test_german_is_known_by_a_word_that_only_german_has(guide: GuideBackend) -> None:
    german, _ = await ask(guide, "unterhaltung löschen")
    english, _ = await ask(guide, "delete conversation")

    assert german.startswith("Das Handbuch hat darauf keine Antwort.")
    assert english.startswith("The manual has no answer to that.")


async def test_what_the_manual_does_not_say_is_refused_with_the_closest_section(guide: GuideBackend) -> None:
    text, citations = await ask(guide, "How do I boil a submarine for the tax office?")

    assert text.startswith("The manual has no answer to that.")
    assert "[The kitchen › Boil an egg](/manual/kitchen#boil-an-egg)" in text
    assert citations == []


@pytest.mark.parametrize("question", ["", "???", "xylophone", "\ud800 \x00 ' OR 1=1 --", "Ω" * 50])
async def test_any_text_has_an_answer_or_a_refusal(guide: GuideBackend, question: str) -> None:
    text, citations = await ask(guide, question)

    assert text.startswith("The manual has no answer to that.")
    assert citations == []


async def test_a_section_added_to_the_manual_is_answered_without_any_other_change(folder: Path) -> None:
    before, _ = await ask(GuideBackend(manual=Manual(folder)), "How do I descale the kettle?")
    with (folder / "tools.md").open("a", encoding="utf-8") as page:
        page.write("\n## Descale the kettle\n\nFill it with vinegar and wait an hour.\n")

    after, [citation] = await ask(GuideBackend(manual=Manual(folder)), "How do I descale the kettle?")

    assert before.startswith("The manual has no answer")
    assert after.startswith("Fill it with vinegar and wait an hour.")
    assert citation.annotation["url"] == "/manual/tools#descale-the-kettle"


async def test_a_section_is_found_by_the_other_words_that_its_page_gives_it(folder: Path) -> None:
    page = (
        "# The cellar\n\n## Wine\n\n<!-- asked: something to drink; alcohol -->\n\nThe bottles lie in the third rack.\n"
    )
    (folder / "cellar.md").write_text(page, encoding="utf-8")

    text, citations = await ask(GuideBackend(manual=Manual(folder)), "Where is something to drink?")

    assert text.startswith("The bottles lie in the third rack.")
    assert [cite.annotation["url"] for cite in citations] == ["/manual/cellar#wine"]


async def test_a_follow_up_is_understood_with_the_question_before_it(guide: GuideBackend) -> None:
    text, [citation] = await ask(guide, "Where are the pans?", "and how many are there?")

    assert citation.annotation["url"] == "/manual/tools#pans"
    assert "three pans" in text


async def test_a_new_subject_leaves_the_question_before_it_behind(guide: GuideBackend) -> None:
    _, [citation] = await ask(guide, "Where are the pans?", "Which small knife peels a potato?")

    assert citation.annotation["url"] == "/manual/kitchen#peel-a-potato"


async def test_a_question_in_german_is_framed_in_german(packaged: GuideBackend) -> None:
    found, [citation] = await ask(packaged, "Wie ändere ich den Port?")
    refused, _ = await ask(packaged, "Wie wird das Wetter morgen?")

    assert citation.annotation["url"].startswith("/manual/configuration#")
    assert "Aus dem Handbuch" in found
    assert refused.startswith("Das Handbuch hat darauf keine Antwort.")


async def test_a_german_verb_in_two_parts_is_understood(packaged: GuideBackend) -> None:
    found, [citation] = await ask(packaged, "Wie melde ich mich ab?")

    assert citation.annotation["url"] == "/manual/security#sign-out"
    assert found.startswith("Choose Sign out")


@pytest.mark.parametrize("greeting", ["hi", "Hello!", "what can you do", "help", "Hallo"])
async def test_greetings_are_answered_from_the_manual_too(packaged: GuideBackend, greeting: str) -> None:
    _, [citation] = await ask(packaged, greeting)

    assert citation.annotation["url"] == "/manual/guide#what-the-guide-can-do"


async def test_slips_of_the_pen_are_forgiven(guide: GuideBackend) -> None:
    _, [citation] = await ask(guide, "where are the pans in the cupbaord")

    assert citation.annotation["url"] == "/manual/tools#pans"


async def test_content_parts_and_plain_prompts_are_questions(guide: GuideBackend) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    _, [from_parts] = await ask(guide, [{"type": "text", "text": "Where are the pans?"}, image])

    for prompt in ("Where are the pans?", ["Where are", "the pans?"]):
        events = [event async for event in guide.stream(ModelRequest(model=MODEL, prompt=prompt))]
        assert from_parts in events


async def test_only_the_users_words_are_the_question(guide: GuideBackend) -> None:
    messages = [
        {"role": "system", "content": "Talk about the oven that does not heat."},
        {"role": "user", "content": "Where are the pans?"},
        {"role": "assistant", "content": None},
    ]
    events = [event async for event in guide.stream(ModelRequest(model=MODEL, messages=messages))]

    [citation] = [event for event in events if isinstance(event, Citation)]
    assert citation.annotation["url"] == "/manual/tools#pans"


async def test_a_conversation_without_a_question_is_refused(guide: GuideBackend) -> None:
    events = [event async for event in guide.stream(ModelRequest(model=MODEL))]

    assert "".join(event.text for event in events if isinstance(event, TextDelta)).startswith(
        "The manual has no answer"
    )


async def test_of_megabytes_the_ends_are_taken_for_the_question(packaged: GuideBackend) -> None:
    log = " ".join(f"w{number}x" for number in range(1_000_000))

    whole = await ask(packaged, f"How do I make an API key?\n{log}")

    assert whole == await ask(packaged, f"How do I make an API key?\n{log[:5000]}{log[-5000:]}")


async def test_an_empty_manual_refuses_everything(tmp_path: Path) -> None:
    text, citations = await ask(GuideBackend(manual=Manual(tmp_path)), "Where are the pans?")

    assert text == "The manual has no answer to that."
    assert citations == []


async def test_the_guide_is_a_kind_of_backend_with_one_model() -> None:
    guide = backend_from(BackendSettings(kind="guide"), Settings())
    [model] = await guide.models()
    await guide.aclose()

    assert isinstance(guide, Backend)
    assert (guide.name, guide.kind, guide.url) == ("guide", "guide", "")
    assert (model.id, model.backend, model.capabilities) == (MODEL, "guide", frozenset({"chat"}))
    assert create(BackendSettings(kind="guide", name="help"), Settings()).name == "help"
