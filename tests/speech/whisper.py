"""A Whisper model of a few kilobytes that says one sentence whatever it hears: real files for the real library.

Its decoder looks at nothing but its last token, and each token leads to the next one of the sentence. So everything of
faster-whisper runs (decoding, Silero's voice detection, features, CTranslate2, timestamps, tokenizer) except that
nobody has taught it to hear: transcription itself is tried with weights that somebody fetched, by hand.
"""

import itertools
import json
from pathlib import Path

import numpy as np
from tokenizers import pre_tokenizers

SAID = "hello from portal"
_WORDS = ["Ġhello", "Ġfrom", "Ġportal"]
_SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
    "<|nospeech|>", "<|notimestamps|>",
]  # fmt: skip
_TIMES = [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
_LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())


def make_model(folder: Path) -> Path:
    """`folder` with the model in it."""
    from ctranslate2.specs.whisper_spec import WhisperSpec

    folder.mkdir(parents=True)
    tokens = [*_LETTERS, *_WORDS, *_SPECIAL, *_TIMES]
    width, heads = 64, 1
    spec = WhisperSpec(1, heads, 1, heads)
    _fill(spec, tokens, width)
    spec.register_vocabulary(tokens)
    for name, value in {"suppress_ids": [], "suppress_ids_begin": [], "alignment_heads": [(0, 0)]}.items():
        setattr(spec.config, name, value)
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    _tokenizer(folder, tokens)
    return folder


def _fill(spec: object, tokens: list[str], width: int) -> None:
    rng = np.random.default_rng(7)
    codes = rng.standard_normal((len(tokens), width)).astype(np.float32)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    follows = _followers(tokens)
    wanted = np.zeros_like(codes)
    for token, after in follows.items():
        wanted[after] += codes[token]
    shapes = {
        "encoder/conv1/weight": (width, 80, 3),
        "encoder/conv2/weight": (width, width, 3),
        "decoder/embeddings/weight": codes * 8,
        "decoder/projection/weight": wanted * 12,
    }
    for name, _ in spec.variables(ordered=True):  # type: ignore[attr-defined]
        value = shapes.get(name)
        if isinstance(value, np.ndarray):
            made = value.astype(np.float32)
        elif value is not None:
            made = np.zeros(value, np.float32)
        else:
            made = _plain(name, width)
        if made is not None:
            _put(spec, name, made)
    for side, length in (("encoder", 1500), ("decoder", 448)):  # optional to the list above, not to a model
        _put(spec, f"{side}/position_encodings/encodings", np.zeros((length, width), np.float32))


def _followers(tokens: list[str]) -> dict[int, int]:
    """Which token comes after which."""
    at = tokens.index
    chain = ["<|startoftranscript|>", "<|0.00|>", *_WORDS, "<|1.00|>", "<|endoftext|>"]
    made = {at(one): at(after) for one, after in itertools.pairwise(chain)}
    made[at("<|notimestamps|>")] = at(_WORDS[0])
    made[at("<|transcribe|>")] = at("<|0.00|>")
    return made


def _plain(name: str, width: int) -> np.ndarray | None:
    """Layers that pass on what they get: norms as they are, everything between them nothing."""
    if name.endswith("layer_norm/gamma"):
        return np.ones(width, np.float32)
    if name.endswith(("layer_norm/beta",)):
        return np.zeros(width, np.float32)
    rows = {"self_attention/linear_0": 3 * width, "attention/linear_1": 2 * width, "ffn/linear_0": 4 * width}
    if "linear_" not in name:
        return None
    many = next((count for part, count in rows.items() if f"{part}/" in name), width)
    if "self_attention/linear_1" in name:
        many = width
    inner = 4 * width if "ffn/linear_1" in name else width
    return np.zeros((many, inner) if name.endswith("weight") else many, np.float32)


def _put(spec: object, name: str, value: np.ndarray) -> None:
    *path, last = name.split("/")
    here = spec
    for part in path:
        head, _, number = part.rpartition("_")
        here = getattr(here, head)[int(number)] if number.isdigit() and not hasattr(here, part) else getattr(here, part)
    setattr(here, last, value)


def _tokenizer(folder: Path, tokens: list[str]) -> None:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    added = [
        {"id": vocabulary[token], "content": token, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for token in [*_SPECIAL, *_TIMES]
    ]  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [], "dropout": None, "unk_token": None}
    made = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level, "model": model,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(made), encoding="utf-8")
