"""Word vectors and wordings: what lets a question and the manual meet in different words."""

import pytest

from portal.backends.meaning import FINE, Bundle, Meanings, likeness
from portal.backends.phrases import Phrases


@pytest.fixture(scope="module")
def meanings() -> Meanings:
    return Meanings()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("erase the record", "delete a file", "cook some rice"),
        ("a journey by train", "travel", "password"),
        ("the notebook is stolen", "my laptop was lost", "a cake with cherries"),
    ],
)
def test_texts_about_the_same_are_closer(meanings: Meanings, text: str, near: str, far: str) -> None:
    mine = meanings.of(text)

    assert likeness(mine, meanings.of(near)) > 2 * likeness(mine, meanings.of(far))


def test_a_text_is_like_itself_in_any_form_of_its_words(meanings: Meanings) -> None:
    assert likeness(meanings.of("deleting backups"), meanings.of("Delete the backup.")) > 0.9


def test_words_that_nobody_knows_have_no_direction(meanings: Meanings) -> None:
    assert meanings.of("qwrtz bzzk") == ()
    assert likeness((), meanings.of("backup")) == 0


def test_the_closest_wording_of_each_section_counts_what_it_and_the_question_say_beside_each_other() -> None:
    phrases = Phrases([[{"cat": 1.0}, {"cat": 1.0, "food": 1.0}], [{"dog": 2.0, "food": 1.0}], []])

    assert phrases.closest([({"cat": 1.0}, 2.0), ({"food": 1.0, "meal": 0.5}, 2.0)]) == pytest.approx([1.0, 0.4, 0.0])
    assert phrases.closest([({"cat": 0.5}, 1.0)]) == pytest.approx([0.5, 0.0, 0.0])
    assert phrases.closest([]) == [0.0, 0.0, 0.0]


def test_many_vectors_are_compared_at_once_as_one_by_one(meanings: Meanings) -> None:
    texts = [meanings.of(text) for text in ("erase the record", "qwrtz", "cook some rice", "delete a file")]
    about = meanings.of("delete the file")

    alike = Bundle(texts).likeness(about)

    assert [each / FINE**2 for each in alike] == pytest.approx([likeness(text, about) for text in texts])
    assert Bundle(texts).likeness(()) == [0, 0, 0, 0]
    assert Bundle([]).likeness(about) == []
