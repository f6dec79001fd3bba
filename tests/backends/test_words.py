import pytest

from portal.backends.quotation import blocks, quotation
from portal.backends.spelling import distance, meant
from portal.backends.words import Lexicon, packaged_lexicon, stem, words

SOURCE = """
# a comment
stop: the a out down
stop-de: der
soft: make
not: not
forms: find found
forms: write wrote written
erase delete wipe
log_out sign_out
shut_down stop
near: erase undo
near: erase delete
create make
de: löschen lösche = erase
"""


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon(SOURCE)


@pytest.mark.parametrize(
    "family",
    [
        ("regenerate", "regenerates", "regenerated", "regenerating", "regeneration"),
        ("install", "installs", "installed", "installing", "installation"),
        ("stop", "stops", "stopped", "stopping"),
        ("copy", "copies", "copied"),
        ("configure", "configured", "configuration"),
        ("delete", "deletes", "deleted", "deletion"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(family: tuple[str, ...]) -> None:
    assert len({stem(word).rstrip("iy") for word in family}) == 1


@pytest.mark.parametrize("word", ["bus", "glass", "this", "sing", "red", "is", "as"])
def test_short_words_keep_what_looks_like_an_ending(word: str) -> None:
    assert stem(word) == word


def test_marked_words_are_read_whole_and_in_parts_and_contractions_as_denials() -> None:
    read = list(words("Set `server.max_body`, re-attach; don’t"))

    assert read == ["set", "server.max_body", "server", "max", "body", "re_attach", "re", "attach", "not"]


def test_words_of_a_group_are_related_but_stop_words_never(lexicon: Lexicon) -> None:
    assert set(lexicon.related(lexicon.term("wiped"))) == {"eras", "delet"}
    assert lexicon.related("nothing") == {}


def test_the_same_meaning_is_closer_than_the_same_matter_and_a_quiet_word_is_further(lexicon: Lexicon) -> None:
    erase = lexicon.related("eras")

    assert erase["delet"] > erase["undo"]
    assert lexicon.related("creat")["mak"] < erase["delet"]


def test_irregular_forms_are_one_word(lexicon: Lexicon) -> None:
    assert {lexicon.term(word) for word in ("write", "wrote", "written", "writing")} == {"writ"}
    assert lexicon.term("found") == lexicon.term("finds")


def test_german_words_stand_for_english_ones(lexicon: Lexicon) -> None:
    assert list(lexicon.from_german("löscht")) == ["eras"]
    assert list(lexicon.from_german("Haus")) == []


def test_phrases_are_found(lexicon: Lexicon) -> None:
    assert "log_out" in lexicon.terms("How do I log out?")


def test_the_packaged_words_hold_together() -> None:
    lexicon = packaged_lexicon()

    assert {"the", "how"} <= lexicon.stop
    assert lexicon.related(lexicon.term("trash"))
    assert lexicon.quiet == lexicon.stop | lexicon.soft


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("crate", "create"),  # a letter left out
        ("createe", "create"),  # one too many
        ("craete", "create"),  # two swapped
        ("convarsetion", "conversation"),  # two changed in a long word
        ("bread", None),  # another word: the first letters differ
        ("create", "create"),
        ("crepte", None),  # one letter for another in a short word is another word
        ("fax", None),  # too short to tell
        ("elephant", None),
    ],
)
def test_slips_are_told_from_other_words(word: str, found: str | None) -> None:
    assert meant(word, ["read", "create", "conversation", "fix", "key"]) == found


def test_distance_counts_a_swap_as_one() -> None:
    assert distance("abcd", "abdc") == 1
    assert distance("", "abc") == 3
    assert distance("kitten", "sitting") == 3


LONG = "filler words that say nothing at all. " * 12
SECTION = f"""{LONG}

Use this command to descale:

```
descale --now

descale --later
```

{LONG}

| Name | What |
|---|---|
""" + "\n".join(f"| row {number} | {'vinegar' if number == 17 else 'water'} {LONG[:90]} |" for number in range(20))


def about(word: str):
    return lambda text: float(text.count(word))


def test_a_short_section_is_quoted_whole() -> None:
    assert quotation("One.\n\nTwo.", about("Two")) == "One.\n\nTwo."


def test_an_example_is_quoted_with_the_sentence_that_announces_it() -> None:
    expected = "Use this command to descale:\n\n```\ndescale --now\n\ndescale --later\n```"

    assert quotation(SECTION, about("--now")) == expected
    assert quotation(SECTION, about("command")) == expected


def test_a_long_table_is_cut_to_the_rows_that_matter_with_its_head() -> None:
    quoted = quotation(SECTION, about("vinegar")).split("\n\n")[-1].splitlines()

    assert quoted[:2] == ["| Name | What |", "|---|---|"]
    assert any("vinegar" in row for row in quoted)
    assert len(quoted) == 8


def test_a_long_list_about_nothing_asked_keeps_its_beginning() -> None:
    text = "\n".join(f"- item {number} {LONG[:200]}" for number in range(20))

    assert quotation(text, about("vinegar")).splitlines() == text.splitlines()[:6]


def test_neighbours_that_matter_are_quoted_too_while_there_is_room() -> None:
    text = f"{LONG}\n\nFirst vinegar.\n\nVinegar and vinegar again, vinegar.\n\nThen vinegar.\n\n{LONG}\n\n{LONG}"

    quoted = quotation(text, about("vinegar"))

    assert quoted == "First vinegar.\n\nVinegar and vinegar again, vinegar.\n\nThen vinegar."


def test_blocks_are_paragraphs_and_whole_code_blocks() -> None:
    assert blocks("a\nb\n\n\n```\nx\n\ny\n```\n\n- c") == ["a\nb", "```\nx\n\ny\n```", "- c"]
