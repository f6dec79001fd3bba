"""The guide with an embedder beside its words."""

from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest

from portal.backends.gist import NARROW, Gists, digest, gist, narrow, packaged, packed, unpacked
from portal.backends.guide import Guide
from portal.backends.manual import Manual, packaged_manual
from portal.errors import BackendUnavailable
from portal.knowledge.minilm import MiniLM

PAGE = """# The kitchen

What is in the kitchen.

## Boil an egg

<!-- asked: breakfast -->

Put it into hot water for seven minutes.

## Sharpen the knife

Draw it over the stone at an angle.
"""


class Letters:
    """Counts letters; refuses to when it is `away`."""

    name = "letters"
    dimensions = 26

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.seen: list[str] = []

    async def embed(self, texts: Sequence[str]):
        if self.away:
            raise BackendUnavailable("It is away.")
        self.seen += texts
        counts = [[text.lower().count(chr(97 + place)) + 0.01 for place in range(26)] for text in texts]
        rows = numpy.array(counts, numpy.float32)
        return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def manual(tmp_path: Path) -> Manual:
    (tmp_path / "kitchen.md").write_text(PAGE, encoding="utf-8")
    return Manual(tmp_path)


async def test_a_section_is_felt_by_its_wordings_and_by_its_text(manual: Manual) -> None:
    gists = Gists(embedder=Letters(), sections=manual.sections(), packed=b"another\n")

    felt = await gists.felt("Boil an egg breakfast")

    assert max(felt) == felt[1]
    assert (await gists.felt("Sharpen the knife"))[2][:2] == pytest.approx((1, 1))
    together, closest, _ = (await gists.felt("breakfast"))[1]
    assert together < closest == pytest.approx(1)


async def test_what_is_packed_is_not_embedded_again(manual: Manual) -> None:
    letters, sections = Letters(), manual.sections()
    source = packed(letters, {digest(each): await gist(letters, each) for each in sections[:2]})
    fresh = Letters()

    felt = await Gists(embedder=fresh, sections=sections, packed=source).felt("egg")

    assert len(felt) == 3
    assert fresh.seen == [f"Sharpen the knife\n{sections[2].text}", "Sharpen the knife", "egg"]
    whole = await Gists(embedder=letters, sections=sections, packed=b"another\n").felt("egg")
    assert numpy.array(felt)[:, ::2] == pytest.approx(numpy.array(whole)[:, ::2], abs=0.02)
    assert (await Gists(embedder=fresh, sections=sections, packed=source).felt("breakfast"))[1][1] > 0.99


async def test_nothing_is_felt_while_the_embedder_is_away(manual: Manual) -> None:
    letters = Letters(away=True)
    gists = Gists(embedder=letters, sections=manual.sections())
    assert await gists.felt("egg") == ()

    letters.away = False

    assert len(await gists.felt("egg")) == 3


async def test_a_manual_without_sections_is_felt_nowhere() -> None:
    assert await Gists(embedder=Letters(), sections=[]).felt("egg") == []


async def test_a_question_that_shares_no_word_finds_a_section_by_its_gist(manual: Manual) -> None:
    by_words, hits = await Guide(manual=manual).search(["blade whetting"])
    assert by_words
    assert hits == []

    _, felt = await Guide(manual=manual, embedder=MiniLM()).search(["blade whetting"])

    assert felt[0].section.id == "sharpen-the-knife"


async def test_texts_that_are_alike_are_so_in_fewer_numbers_too() -> None:
    basis, _ = unpacked(packaged(), MiniLM())
    whole = await MiniLM().embed(["make a copy of my data", "back everything up", "paint the kitchen red"])

    few = narrow(whole, basis)

    assert few.shape == (3, NARROW)
    assert few[0] @ few[1] > few[0] @ few[2]


def test_most_of_the_manual_comes_packed() -> None:
    sections = packaged_manual().sections()
    basis, known = unpacked(packaged(), MiniLM())

    assert basis.shape == (1 + NARROW, 384)
    assert sum(digest(each) in known for each in sections) > 0.8 * len(sections)
