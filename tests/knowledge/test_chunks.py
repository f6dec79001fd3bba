"""Documents cut into passages: nothing lost, nothing too large, every place true."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.documents import Extracted
from portal.errors import BadRequest
from portal.knowledge.chunks import LARGEST, Piece, cut
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_reading import Reading

SENTENCES = "The harvest was good. Was it? Dr. Pear said so, e.g. at No. 5! It cost 3.5 euros, i.e. little. "
CASES = {
    "prose.txt": SENTENCES * 60 + "\n\n" + SENTENCES * 3,
    "chinese.txt": "今天天气很好，我们去公园。你去吗？好的！" * 120,
    "thai.txt": "วันนี้อากาศดีมาก เราไปสวนสาธารณะ " * 120,
    "long.txt": "x" * 5000 + " " + "y" * 30 + " z" * 900,
    "emoji.txt": "👩‍👩‍👧‍👦e\u0301" * 900,
    "table.csv": "Name,Town,Remark\n" + "".join(f"Ann {n},Rome {n},words {'of it ' * 9}\n" for n in range(80)),
    "wide.csv": "Name,Town\n" + "a" * 3000 + ",b\nc,d\n",
    "code.py": "".join(f"def f{n}(x):\n    y = x\n\n    return y + {n}\n\n\n" for n in range(90)),
    "list.md": "# Head\n\nBefore:\n\n" + "".join(f"- item {n} with some words\n" for n in range(90)) + "\nAfter.",
    "tree.md": "".join(f"{'#' * (n % 4 + 1)} Head {n}\n\n{'Words of it. ' * (n % 9)}\n\n" for n in range(60)),
    "bare.md": "# A\n\n# B\n\n## C\n\n## D\n\nwords\n\n# E\n\n### F",
}


def read(name: str, text: str) -> Extracted:
    return Reading().read(text.encode("utf-8", "surrogatepass"), name)


def check(document: Extracted, pieces: list[Piece], largest: int, *, overlap: bool = False) -> None:
    text = document.text
    covered = bytearray(len(text))
    tables = [block for block in document.blocks if block.kind == "table"]
    for before, piece in zip([None, *pieces], pieces, strict=False):
        assert 0 < len(piece.text) <= largest
        within = text[piece.start : piece.end]
        assert piece.text.endswith(within)
        if above := piece.text[: len(piece.text) - len(within)]:
            table = next(block for block in tables if block.body <= piece.start < block.end)
            assert text[table.start : table.body].startswith(above[:-1])
        if before is not None:
            assert before.start < piece.start
            assert before.end < piece.end if overlap else before.end <= piece.start
        covered[piece.start : piece.end] = b"\1" * (piece.end - piece.start)
    for block in document.blocks:
        if block.kind == "heading":
            words = text[block.start : block.end].lstrip("#").strip()[:200]
            assert covered[block.start] or any(words in piece.heading for piece in pieces)
        else:
            lost = [at for at in range(block.start, block.end) if not covered[at] and not text[at].isspace()]
            assert lost == []


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tokens", [None, (100, 0), (100, 50), (800, 400), (4096, 0)])
def test_nothing_is_lost(name: str, tokens: tuple[int, int] | None) -> None:
    document = read(name, CASES[name])
    static = tokens and {"max_chunk_size_tokens": tokens[0], "chunk_overlap_tokens": tokens[1]}
    pieces = cut(document, {"type": "static", "static": static} if tokens else None)

    check(document, pieces, 4 * tokens[0] + 10 if tokens else LARGEST, overlap=bool(tokens and tokens[1]))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "# ", "## ", "- ", "    ", "|a|b|\n|--|--|\n|", "```\n"]),
            st.text(st.sampled_from("ab .!?。，|\n\u0301é👩\u200d\ud800"), max_size=300),
            st.integers(1, 12),
        ),
        max_size=12,
    ),
    st.sampled_from(["a.md", "a.txt", "a.py", "a.csv", "a.html"]),
    st.sampled_from([None, (100, 50)]),
)
def test_whatever_the_text(lines: list[tuple[str, str, int]], name: str, tokens: tuple[int, int] | None) -> None:
    document = read(name, "\n\n".join(mark + words * times for mark, words, times in lines))
    static = tokens and {"max_chunk_size_tokens": tokens[0], "chunk_overlap_tokens": tokens[1]}
    pieces = cut(document, {"type": "static", "static": static} if tokens else {"type": "auto"})

    check(document, pieces, 4 * tokens[0] + 10 if tokens else LARGEST, overlap=bool(tokens))


def test_pieces_follow_sentences() -> None:
    document = read("prose.txt", CASES["prose.txt"])
    pieces = cut(document)

    assert all(400 <= len(piece.text) <= LARGEST for piece in pieces[:-2])
    assert all(piece.text.endswith(("good.", "it?", "5!", "little.")) for piece in pieces)
    assert {piece.text[-1] for piece in cut(read("a.txt", CASES["chinese.txt"]))} <= set("。？！")


def test_pieces_carry_their_headings_and_tables_their_header() -> None:
    tree = (
        "# Farm\n\n## Pears\n\n"
        + SENTENCES * 9
        + "\n\n## Small\n\nA few words.\n\n## Smaller\n\nFewer.\n\n# End\n\nOver."
    )
    pieces = cut(read("a.md", tree))
    rows = cut(read("table.csv", CASES["table.csv"]))
    code = cut(read("code.py", CASES["code.py"]))

    assert {piece.heading for piece in pieces} == {("Farm", "Pears"), ("Farm",), ("End",)}
    assert pieces[-2].text == "## Small\n\nA few words.\n\n## Smaller\n\nFewer."
    assert pieces[-1].text == "Over."
    assert all(piece.text.startswith("Name | Town | Remark\nAnn") for piece in rows)
    assert all(re.fullmatch(r"(Name.*\n)?(Ann \d+ \| Rome \d+ \| words[ofit ]*\n?)+", piece.text) for piece in rows)
    assert all(piece.text.startswith("def f") for piece in code)


@pytest.mark.parametrize("overlap", [0, 50])
def test_a_piece_is_of_one_page(overlap: int) -> None:
    draft = Draft()
    for draft.page, text in ((1, "The door code is 4821."), (2, "The tent is orange."), (2, "It is new."), (3, "End.")):
        draft.text(text)
        draft.heading(2, f"Part {draft.page}" if text != "It is new." else "")
    static = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": overlap}}
    document = draft.done()

    for pieces in (cut(document), cut(document, static)):
        told = {number: "".join(piece.text for piece in pieces if piece.page == number) for number in (1, 2, 3)}
        assert "4821" in told[1]
        assert "orange" in told[2]
        assert "It is new." in told[2]
        assert "End." in told[3]


def test_words_are_kept_whole_and_so_are_joined_signs() -> None:
    long = cut(read("a.txt", "several words " * 400))
    signs = cut(read("a.txt", CASES["emoji.txt"]))

    assert all(set(piece.text.split()) == {"several", "words"} for piece in long)
    assert not any(piece.text[0] in "\u0301\u200d" for piece in signs)


def test_an_overlap_repeats_the_end_of_the_piece_before() -> None:
    strategy = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}}
    pieces = cut(read("a.txt", SENTENCES * 50), strategy)

    shared = [one.end - other.start for one, other in pairwise(pieces)]
    assert all(200 < each <= 400 for each in shared)
    assert cut(read("a.txt", ""), strategy) == []


@pytest.mark.parametrize(
    "strategy",
    [
        {"type": "other"},
        {"type": "static"},
        {"type": "static", "static": {"max_chunk_size_tokens": 99}},
        {"type": "static", "static": {"max_chunk_size_tokens": 5000}},
        {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 101}},
        {"type": "static", "static": {"chunk_overlap_tokens": "many"}},
    ],
)
def test_a_strategy_that_makes_no_sense(strategy: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        cut(read("a.txt", "words"), strategy)


@pytest.mark.unmeasured
@pytest.mark.parametrize("unit", [SENTENCES, "word\n", "x", "今天。", "a\n\n", "\n", "- a\n", ". "])
def test_time_grows_with_the_text_and_no_faster(unit: str) -> None:
    def seconds(size: int) -> float:
        document = read("a.md", unit * (size // len(unit)))
        start = time.process_time()
        cut(document)
        return time.process_time() - start

    small = min(seconds(100_000) for _ in range(3))
    assert seconds(800_000) < 8 * 4 * max(small, 0.01)
