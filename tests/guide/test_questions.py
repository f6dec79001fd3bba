"""The guide on questions that were written before its retrieval existed, and on those it was tuned with."""

import json
from collections import Counter

import pytest
from tests.guide.scoring import ALL, DEVELOPMENT, HELD_OUT, JUDGED, TERSE, ask_all, shares

from portal.backends.guide import Guide
from portal.backends.manual import Section, packaged_manual
from portal.backends.words import Lexicon, packaged_lexicon, words
from portal.knowledge.minilm import MiniLM


@pytest.fixture(scope="module")
def guide() -> Guide:
    return Guide(manual=packaged_manual(), embedder=MiniLM())


def test_the_judged_questions_are_the_mix_they_claim() -> None:
    kinds = Counter(json.loads(line)["kind"] for line in JUDGED.read_text(encoding="utf-8").splitlines())

    assert kinds == {"ordinary": 30, "paraphrase": 15, "unanswerable": 15}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_expected_section_is_in_the_manual(path) -> None:
    there = {f"{section.page}#{section.id}" for section in packaged_manual().sections()}
    asked = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    assert [one for one in asked if not set(one["expected"] or ()) <= there] == []


def subjects(text: str, lexicon: Lexicon) -> set[str]:
    quiet = lexicon.stop | lexicon.soft
    return {lexicon.term(word) for word in words(text) if word not in quiet}


def test_what_no_manual_answers_is_nothing_for_which_a_section_is_asked() -> None:
    lexicon = packaged_lexicon()
    elsewhere = {frozenset(subjects(text, lexicon)) for text in lexicon.elsewhere} - {frozenset()}
    asked = [(each.url, text) for each in packaged_manual().sections() for text in [each.title, *each.asked]]

    assert [(url, text) for url, text in asked if frozenset(subjects(text, lexicon)) in elsewhere] == []


def test_paraphrases_share_no_subject_with_the_sections_that_answer_them() -> None:
    lexicon = packaged_lexicon()
    sections: dict[str, Section] = {f"{each.page}#{each.id}": each for each in packaged_manual().sections()}
    asked = [json.loads(line) for line in JUDGED.read_text(encoding="utf-8").splitlines()]
    shared = {
        one["question"]: both
        for one in asked
        if one["kind"] == "paraphrase"
        for expected in one["expected"]
        if (
            both := subjects(one["question"], lexicon)
            & subjects(f"{sections[expected].title} {sections[expected].text}", lexicon)
        )
    }

    assert shared == {}


@pytest.mark.unmeasured
async def test_the_guide_finds_what_there_is_and_refuses_what_there_is_not(guide: Guide) -> None:
    share = shares(await ask_all(guide, JUDGED))

    assert share["answerable"] >= 0.90
    assert share["unanswerable"] >= 0.90


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.unmeasured
async def test_the_development_questions_do_not_get_worse(guide: Guide) -> None:
    share = shares(await ask_all(guide, DEVELOPMENT))

    assert share["ordinary"] >= 0.90
    assert share["paraphrase"] >= 0.85
    assert share["unanswerable"] >= 0.90


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.unmeasured
async def test_terse_questions_do_not_get_worse(guide: Guide) -> None:
    share = shares(await ask_all(guide, TERSE))

    assert share["answerable"] >= 0.82
    assert share["unanswerable"] >= 0.86


@pytest.mark.unmeasured
async def test_the_questions_held_out_do_not_get_worse(guide: Guide) -> None:
    share = shares(await ask_all(guide, HELD_OUT))

    assert share["answerable"] >= 0.85
    assert share["unanswerable"] >= 0.90
