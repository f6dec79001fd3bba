"""Which model is the best, and in which words."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.backends.naming import capabilities_in_name, parameters_in_name
from portal.core.model import ModelInfo
from portal.core.workspaces import Strategy
from portal.routing.discovery import CANDIDATES, candidates
from portal.routing.families import packaged
from portal.routing.judgement import TASKS
from portal.routing.ranking import GUIDE, Wanted, rank, readable
from portal.settings import Settings


def info(name: str, parameters: float | None = None, **more: Any) -> ModelInfo:
    weights = int(parameters * 1e9) if parameters else None
    return ModelInfo(id=name, backend="b", parameters=weights, **more)


EMBEDDER = info("embedder", 500, capabilities=frozenset({"embeddings"}))
BASE = info("base", 400, capabilities=frozenset({"completion"}))
GUIDE_INFO = info(GUIDE, 900)


@pytest.mark.parametrize(
    ("models", "expected", "reason"),
    [
        (
            [info("a", 1), info("b", 8), EMBEDDER, BASE, GUIDE_INFO],
            "b",
            "the largest of the 2 models that could answer (8B parameters)",
        ),
        (
            [info("a", 8), info("b", 8, loaded=True)],
            "b",
            "the largest of the 2 models that could answer (8B parameters), and in memory already",
        ),
        (
            [info("a", 8, loaded=True), info("b", 9, loaded=False)],
            "b",
            "the largest of the 2 models that could answer (9B parameters)",
        ),
        ([info("a"), info("b")], "a", "the first of the 2 models that could answer, whose sizes are not known"),
        (
            [info("a", 8, size=1), info("b", 8, size=2)],
            "b",
            "the largest of the 2 models that could answer (8B parameters)",
        ),
        ([info("only", 1), EMBEDDER], "only", "the only one installed"),
        ([GUIDE_INFO], GUIDE, "nothing else is installed"),
    ],
)
def test_choice(models: list[ModelInfo], expected: str, reason: str) -> None:
    first = rank(models, Wanted())[0]
    assert (first.model.id, first.why) == (expected, reason)


def test_needs_are_hard() -> None:
    sees = info("sees", 1, capabilities=frozenset({"chat", "vision"}))
    ranked = rank([info("blind", 70), sees], Wanted(needs=frozenset({"chat", "vision"})))
    assert [one.model.id for one in ranked] == ["sees"]
    assert rank([EMBEDDER], Wanted()) == []
    assert rank([], Wanted()) == []


def test_preferences_come_first_in_their_order() -> None:
    models = [info("a:latest", 1), info("qwen3:8b", 8), info("z", 70)]
    ranked = rank(models, Wanted(prefer=("nothing", "qwen3*", "a")))
    assert [one.model.id for one in ranked] == ["qwen3:8b", "a:latest", "z"]
    assert ranked[0].why == "this workspace prefers it"


def installed(names: str) -> list[ModelInfo]:
    """Models as Ollama lists them: `*` behind a name for one that is in memory, `$` for where nobody says."""
    return [_listed(name.rstrip("*$"), {"*": True, "$": None}.get(name[-1], False)) for name in names.split()]


def _listed(name: str, loaded: bool | None) -> ModelInfo:
    weights = parameters_in_name(name)
    bare = ModelInfo(
        id=name,
        backend="b",
        capabilities=capabilities_in_name(name),
        parameters=weights,
        size=weights and int(weights * 0.6),
        loaded=loaded,
        told=False,
    )
    return packaged().describe(bare)


LAPTOP = "qwen3:4b* llama3.2:1b gemma3:4b nomic-embed-text"
DESKTOP = "qwen3:32b qwen3:8b* qwen2.5-coder:14b llama3.2:3b gemma3:12b qwen2.5vl:7b nomic-embed-text"
STATION = "llama3.3:70b gpt-oss:120b qwen3-coder:30b qwen3:30b* qwen3:1.7b starcoder2:15b bge-m3"
MIXED = "qwen3:8b* llama3.1:8b gpt-4o$ claude-sonnet-4$"
TWINS = "llama3.1:8b hermes3:8b* "
SEES = frozenset({"chat", "vision"})


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        # an easy request goes to what answers soonest and is good enough
        (LAPTOP, Wanted(task="general", difficulty=0.1), "qwen3:4b"),
        (DESKTOP, Wanted(task="general", difficulty=0.1), "qwen3:8b"),
        (STATION, Wanted(task="general", difficulty=0.1), "qwen3:30b"),
        (MIXED, Wanted(task="general", difficulty=0.0), "qwen3:8b"),
        # a hard one to the best
        (DESKTOP, Wanted(task="reasoning", difficulty=0.95), "qwen3:32b"),
        (DESKTOP, Wanted(task="math", difficulty=1.0), "qwen3:32b"),
        (STATION, Wanted(task="math", difficulty=0.95), "gpt-oss:120b"),
        (STATION, Wanted(task="creative", difficulty=0.95), "llama3.3:70b"),
        (MIXED, Wanted(task="coding", difficulty=1.0), "qwen3:8b"),
        (MIXED, Wanted(task="coding", difficulty=1.0, prefer=("claude*",)), "claude-sonnet-4"),
        (MIXED, Wanted(strategy="quality", prefer=("@coding",)), "qwen3:8b"),
        # the task counts
        ("qwen2.5:7b qwen2.5-coder:7b", Wanted(task="coding", difficulty=0.9), "qwen2.5-coder:7b"),
        ("qwen2.5:7b qwen2.5-coder:7b", Wanted(task="creative", difficulty=0.9), "qwen2.5:7b"),
        ("deepseek-r1:8b llama3.1:8b", Wanted(task="math", difficulty=0.9), "deepseek-r1:8b"),
        (DESKTOP, Wanted(task="vision", difficulty=0.9), "qwen2.5vl:7b"),
        ("qwen2.5vl:7b qwen3:8b", Wanted(task="vision"), "qwen2.5vl:7b"),
        ("gemma2:9b qwen2.5:7b", Wanted(task="image_generation"), "qwen2.5:7b"),
        # needs are hard
        (DESKTOP, Wanted(needs=SEES, task="vision", difficulty=0.1), "qwen2.5vl:7b"),
        (STATION, Wanted(needs=frozenset({"chat", "tools"}), difficulty=0.1), "qwen3:30b"),
        # strategies
        (DESKTOP, Wanted(task="general", difficulty=0.1, strategy="quality"), "qwen3:32b"),
        (DESKTOP, Wanted(strategy="quality"), "qwen3:32b"),
        (DESKTOP, Wanted(strategy="speed"), "llama3.2:3b"),
        ("qwen3:32b$ qwen3:8b$ llama3.2:3b$", Wanted(strategy="speed", difficulty=0.9), "llama3.2:3b"),
        ("qwen3:32b$ qwen3:8b$ llama3.2:3b$", Wanted(strategy="balanced"), "qwen3:8b"),
        (MIXED, Wanted(strategy="cost", difficulty=0.1), "qwen3:8b"),
        ("gpt-4o$ gpt-oss:20b$ qwen3:8b$", Wanted(strategy="cost", difficulty=0.2), "gpt-oss:20b"),
        ("gpt-4o$ gpt-oss:20b$ qwen3:8b$", Wanted(strategy="cost"), "gpt-oss:20b"),
        # what is in memory wins between near-equals
        (TWINS, Wanted(task="creative", difficulty=0.9), "hermes3:8b"),
        (TWINS.replace("*", ""), Wanted(task="general", difficulty=1.0), "llama3.1:8b"),
        # wishes come first
        (DESKTOP, Wanted(task="coding", difficulty=0.1, prefer=("@coding",)), "qwen3:32b"),
        ("qwen3:8b qwen2.5-coder:7b", Wanted(prefer=("gone", "@coding", "qwen3*")), "qwen2.5-coder:7b"),
        (DESKTOP, Wanted(prefer=("@thinking",)), "qwen3:32b"),
        (DESKTOP, Wanted(prefer=("@vision",)), "gemma3:12b"),
        (DESKTOP, Wanted(prefer=("@vision",), strategy="speed"), "qwen2.5vl:7b"),
        (DESKTOP, Wanted(prefer=("@thinking", "llama3.2:3b"), strategy="speed"), "qwen3:8b"),
        # windows
        ("phi4:14b llama3.1:8b", Wanted(tokens=20000), "llama3.1:8b"),
        ("phi4:14b llama3.1:8b", Wanted(tokens=2000), "phi4:14b"),
        ("phi4:14b qwen3:32b gemma2:9b", Wanted(tokens=500000), "qwen3:32b"),
        # nobody judged: the largest
        (DESKTOP, Wanted(), "qwen3:32b"),
        (STATION, Wanted(), "gpt-oss:120b"),
    ],
)
def test_what_people_have_and_what_they_ask(names: str, wanted: Wanted, expected: str) -> None:
    assert rank(installed(names), wanted)[0].model.id == expected


@pytest.mark.parametrize(
    ("names", "wanted", "reason"),
    [
        (
            DESKTOP,
            Wanted(task="math", difficulty=1.0),
            "the best of the 6 models that could answer for math (32B parameters)",
        ),
        (
            DESKTOP,
            Wanted(task="general", difficulty=0.1),
            "good enough for an easy request, and the quickest of 5 models that are (8B parameters), "
            "and in memory already",
        ),
        (
            "llama3.1:8b hermes3:8b*",
            Wanted(task="creative"),
            "the best of the 2 models that could answer for creative (8B parameters), and in memory already",
        ),
        (
            "llama3.1:8b mistral:7b solar:8b*",
            Wanted(strategy="speed"),
            "the quickest of the 3 models that could answer (8B parameters), and in memory already",
        ),
        (
            "qwen3:8b granite3.3:8b$ qwen2.5:8b",
            Wanted(strategy="balanced"),
            "good enough for this, and the quickest of 3 models that are (8B parameters)",
        ),
        (
            MIXED,
            Wanted(strategy="cost"),
            "the cheapest of 2 models good enough (8B parameters), and in memory already",
        ),
        (DESKTOP, Wanted(prefer=("@coding",)), "this workspace prefers the best there is for coding"),
        ("llama3.1:8b gemma2:27b$", Wanted(tokens=9000), "the only one installed"),
        (
            "gemma3:4b llama3.1:8b",
            Wanted(needs=SEES, task="vision"),
            "the only one installed with vision",
        ),
        (
            "phi4:14b gemma2:9b",
            Wanted(tokens=90000),
            "no installed model holds all of this (about 90000 tokens), and this one holds the most (16384 tokens)",
        ),
    ],
)
def test_reasons(names: str, wanted: Wanted, reason: str) -> None:
    assert rank(installed(names), wanted)[0].why == reason


def test_as_good_as_the_best_and_quicker() -> None:
    ranked = rank(installed("gemma2:9b mistral-nemo:12b$ olmo2:8b$"), Wanted(task="creative", difficulty=1.0))
    assert [one.why for one in ranked] == [
        "as good as the best of the 3 models that could answer for creative, and quicker (12B parameters)",
        "slower; 9B parameters",
        "less good; 8B parameters",
    ]


@pytest.mark.parametrize(
    ("names", "wanted", "whys"),
    [
        ("qwen3:8b* granite3.3:8b", Wanted(strategy="speed"), ["must be loaded first; 8B parameters"]),
        ("qwen3:8b$ qwen3:8b$", Wanted(strategy="speed"), ["equally quick; 8B parameters"]),
        ("qwen3:4b$ qwen3:8b$", Wanted(strategy="cost", difficulty=0.1), ["more work; 8B parameters"]),
        ("qwen3:4b$ qwen3:8b$", Wanted(prefer=("qwen*",), strategy="speed"), ["this workspace prefers it"]),
    ],
)
def test_each_candidate_says_what_stands_against_it(names: str, wanted: Wanted, whys: Sequence[str]) -> None:
    told = [one.why for one in rank(installed(names), wanted)]
    assert told[-len(whys) :] == whys


def test_the_speed_that_was_seen_counts() -> None:
    quick, slow = installed("granite3.3:8b$ qwen2.5:7b$")
    easy = Wanted(task="general", difficulty=0.2)
    assert rank([quick, slow], easy)[0].model.id == "qwen2.5:7b"
    seen = rank([replace(quick, pace=80.0, first_token=0.1), slow], easy)
    assert seen[0].model.id == "granite3.3:8b"
    largest = rank([replace(slow, pace=12.3), quick], Wanted())
    assert largest[1].why == "7B parameters, 12 tokens a second seen"


NAMES = [*(LAPTOP + " " + DESKTOP + " " + STATION + " " + MIXED).replace("*", "").replace("$", "").split(), "odd"]
POOL = {name: _listed(name, None) for name in NAMES} | {GUIDE: ModelInfo(id=GUIDE, backend="guide")}
MODELS = st.lists(st.sampled_from(sorted(POOL)), unique=True, max_size=12).flatmap(
    lambda names: st.tuples(
        *(
            st.builds(
                lambda info, loaded, pace: replace(info, loaded=loaded, pace=pace),
                st.just(POOL[name]),
                st.sampled_from([None, True, False]),
                st.sampled_from([None, 2.0, 90.0]),
            )
            for name in names
        )
    )
)
WANTED = st.builds(
    Wanted,
    needs=st.sampled_from([frozenset({"chat"}), SEES, frozenset({"chat", "tools"}), frozenset({"chat", "audio"})]),
    task=st.sampled_from(["", *TASKS]),
    difficulty=st.none() | st.floats(0, 1),
    tokens=st.sampled_from([0, 100, 10_000, 50_000, 10_000_000]),
    strategy=st.sampled_from(get_args(Strategy)),
    prefer=st.lists(
        st.sampled_from(["qwen*", "gone", "@coding", "@vision", "@tools", "odd", "llama3.2:1b"]), max_size=3
    ),
)


@given(MODELS, WANTED)
def test_whatever_is_installed_and_wanted(models: Sequence[ModelInfo], wanted: Wanted) -> None:
    ranked = rank(models, wanted)
    able = [model for model in models if wanted.needs <= model.capabilities]
    ours = [model.id for model in able if not model.paid and model.id != GUIDE]
    assert bool(ranked) == bool(ours or (able and not any(model.paid for model in able)))
    assert not any(one.model.paid for one in ranked)
    assert {one.model.id for one in ranked} <= {model.id for model in able}
    assert all("chat" in one.model.capabilities and one.why for one in ranked)
    assert all(0 <= one.score <= 1 for one in ranked)
    assert all(before.score >= after.score for before, after in itertools.pairwise(ranked))
    assert len({one.model.id for one in ranked}) == len(ranked)
    assert len(able) == 1 or not ranked or ranked[0].model.id != GUIDE
    assert rank(models, wanted) == ranked


def test_what_a_model_is_given_counts_not_what_it_could_take() -> None:
    capped = info("a", 70, context_window=131_072, given=32_768)
    assert rank([capped, info("b", 8, context_window=65_536)], Wanted(tokens=40_000))[0].model.id == "b"
    (alone,) = rank([capped], Wanted(tokens=40_000))
    assert "this one holds the most (32768 tokens)" in alone.why


def test_of_those_that_hold_the_most_the_best_is_taken() -> None:
    same = {"context_window": 131_072, "given": 32_768}
    models = [info("tiny", 1, **same), info("narrow", 90, context_window=4096), info("big", 70, **same)]
    ranked = rank(models, Wanted(tokens=40_000))
    assert [one.model.id for one in ranked] == ["big", "tiny", "narrow"]
    assert [one.why.partition(" (")[0] for one in ranked[1:]] == ["holds as much", "a smaller window"]


@given(MODELS, WANTED)
def test_a_window_that_is_large_enough_goes_before_one_that_is_not(models: Sequence[ModelInfo], wanted: Wanted) -> None:
    ranked = [one.model.context_window or 10**9 for one in rank(models, wanted) if one.model.id != GUIDE]
    fits = [window >= wanted.tokens for window in ranked]
    assert all(fits) or not any(fits[1:]) or ranked[0] == max(ranked)


@given(MODELS, st.floats(0, 1))
def test_the_harder_a_request_the_nearer_to_the_best(models: Sequence[ModelInfo], difficulty: float) -> None:
    ranked = [one.model.quality for one in rank(models, Wanted(task="general", difficulty=difficulty))]
    assert not ranked or ranked[0] >= min(0.96, 0.6 + 0.4 * difficulty) * max(ranked) - 1e-9


@pytest.mark.parametrize(
    ("parameters", "words"),
    [(8_000_000_000, "8B"), (1_540_000_000, "1.5B"), (137_000_000, "137M"), (5_000, "5K"), (12, "12")],
)
def test_readable(parameters: int, words: str) -> None:
    assert readable(parameters) == words


def test_places_worth_a_look() -> None:
    found = candidates(Settings())
    assert {place.name: place.url for place in found}["ollama"] == "http://127.0.0.1:11434"
    assert list(found) == list(CANDIDATES)
    assert len({place.name for place in CANDIDATES}) == len(CANDIDATES)


def test_not_what_is_in_use_nor_portal_itself() -> None:
    settings = Settings(
        server={"port": 8000},  # type: ignore[arg-type]
        backends=[{"kind": "ollama", "url": "http://localhost:11434/v1"}, {"kind": "embedded"}],  # type: ignore[arg-type]
    )
    names = {place.name for place in candidates(settings, ["http://127.0.0.1:1234/v1", "https://far.example/v1", ""])}
    assert names.isdisjoint({"ollama", "vllm", "lmstudio"})
    assert "llamacpp" in names


def test_looking_can_be_turned_off() -> None:
    assert candidates(Settings(discovery={"enabled": False})) == ()  # type: ignore[arg-type]
