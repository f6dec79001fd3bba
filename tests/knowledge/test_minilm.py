import asyncio
import subprocess
import sys

import pytest

from portal.errors import BackendError, BackendUnavailable
from portal.extras import add_command
from portal.knowledge.minilm import TOKENS, MiniLM, is_installed

LOADED = "import sys; from portal.knowledge.minilm import MiniLM, is_installed; MiniLM(); assert is_installed(); "
ABSENT = """
import asyncio, sys
sys.modules["onnxruntime"] = None
from portal.knowledge.minilm import MiniLM
from portal.errors import BackendUnavailable
try:
    asyncio.run(MiniLM().embed(["a"]))
except BackendUnavailable as error:
    print(error.code, error.message)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


async def test_texts_that_mean_like_things_lie_close() -> None:
    port, same, other = await MiniLM().embed(
        [
            "How do I change the port?",
            "Set the TCP port number that the server listens on.",
            "Bananas are yellow fruit.",
        ]
    )

    assert port @ same > 0.3 > 0.1 > port @ other


async def test_a_text_has_the_same_vector_whoever_else_is_embedded() -> None:
    embedder = MiniLM(threads=2)
    texts = [f"The {number}th chapter " * number for number in range(1, 30)]

    together = await embedder.embed(texts)
    alone = [(await embedder.embed([text]))[0] for text in texts]

    assert all((one == other).all() for one, other in zip(together, alone, strict=True))


async def test_only_the_beginning_of_a_long_text_counts() -> None:
    beginning = "word " * TOKENS

    one, other = await MiniLM().embed([beginning, beginning + "and a very different end " * 10_000])

    assert one @ other > 0.9999


async def test_the_exact_way_of_multiplying_gives_the_same_vectors() -> None:
    texts = ["How do I change the port?", "Bananas are yellow fruit."]

    fast, exact = await MiniLM(exact=False).embed(texts), await MiniLM(exact=True).embed(texts)

    assert ((fast * exact).sum(axis=1) > 0.98).all()


async def test_a_cancelled_call_leaves_the_embedder_usable() -> None:
    embedder = MiniLM(threads=1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await embedder.embed(["many words of a long text " * 40] * 1000)

    assert (await embedder.embed(["a", "b"])).shape == (2, 384)


async def test_it_is_loaded_once_though_the_one_who_woke_it_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    embedder, loads, load = MiniLM(), list[object](), onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *args, **rest: loads.append(args) or load(*args, **rest)
    )

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await embedder.embed(["a"])
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(embedder.embed(["a"]))

    assert (embedder.is_loaded, len(loads)) == (True, 1)


async def test_the_model_is_freed_when_it_is_idle_and_loaded_again() -> None:
    kept, freed = MiniLM(), MiniLM(idle=0)
    assert not kept.is_loaded

    before = await kept.embed(["a"])
    assert kept.is_loaded
    assert (await freed.embed(["a"]) == before).all()
    assert not freed.is_loaded

    assert (await freed.embed(["a"]) == before).all()


def test_nothing_heavy_is_imported_before_the_first_text() -> None:
    assert is_installed()
    assert run(LOADED + "print(sorted({'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules)))") == "[]\n"


def test_without_the_extra_it_says_what_to_install() -> None:
    said = run(ABSENT)

    assert said.startswith("not_installed")
    assert add_command("knowledge") in said
    assert BackendUnavailable.status == 503


@pytest.mark.parametrize("texts", [["\ud800"], ["a"] * 9 + ["\ud800"] * 9])
async def test_what_the_libraries_raise_is_a_backend_error(texts: list[str]) -> None:
    with pytest.raises(BackendError, match="embedded model failed"):
        await MiniLM(threads=2).embed(texts)
