"""Public sets that nothing is trained on, read from clones: they are not kept here. See data/SOURCES.md."""

import csv
import gzip
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sources import Request

EACH = 200


@dataclass(frozen=True)
class Clone:
    """A git repository at one commit, read without a work tree."""

    path: Path
    commit: str

    def read(self, name: str) -> bytes:
        command = ["git", "-C", str(self.path), "show", f"{self.commit}:{name}"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def text(self, name: str) -> str:
        return self.read(name).decode("utf-8")

    def names(self, under: str) -> list[str]:
        command = ["git", "-C", str(self.path), "ls-tree", "-r", "--name-only", self.commit, under]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()


def spread(rows: list, many: int = EACH) -> list:
    """At most so many rows, taken at even steps."""
    step = max(1, len(rows) // many)
    return rows[::step][:many]


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


MT_BENCH = {
    "writing": "creative", "roleplay": "creative", "reasoning": "reasoning", "math": "math", "coding": "coding",
    "extraction": "documents", "stem": "general", "humanities": "general",
}  # fmt: skip


def mt_bench(clone: Clone) -> Iterator[Request]:
    """Eighty conversations of two turns; the task is taken to stay in the second turn."""
    for row in _lines(clone.text("fastchat/llm_judge/data/mt_bench/question.jsonl")):
        label = MT_BENCH[row["category"]]
        yield Request("mt_bench", label, "en", (row["turns"][0],))
        yield Request("mt_bench", label, "en", tuple(row["turns"][:2]))


def vicuna(clone: Clone) -> Iterator[Request]:
    """The categories whose task is beyond dispute."""
    tasks = {"coding": "coding", "math": "math", "writing": "creative", "generic": "general", "knowledge": "general"}
    for row in _lines(clone.text("fastchat/llm_judge/data/vicuna_bench/question.jsonl")):
        if label := tasks.get(row["category"]):
            yield Request("vicuna_bench", label, "en", (row["turns"][0],))


def gsm8k(clone: Clone) -> Iterator[Request]:
    """Word problems."""
    for row in spread(_lines(clone.text("grade_school_math/data/test.jsonl"))):
        yield Request("gsm8k", "math", "en", (row["question"],))


def mgsm(clone: Clone) -> Iterator[Request]:
    """Word problems in four of our other languages."""
    for language in ("de", "es", "fr", "zh"):
        for line in spread(clone.text(f"mgsm/mgsm_{language}.tsv").splitlines(), 50):
            yield Request("mgsm", "math", language, (line.split("\t")[0],))


def human_eval(clone: Clone) -> Iterator[Request]:
    """Beginnings of functions to be completed."""
    rows = _lines(gzip.decompress(clone.read("data/HumanEval.jsonl.gz")).decode())
    yield from (Request("human_eval", "coding", "en", (row["prompt"],)) for row in rows)


_LOGIC = (
    "causal_judgement", "formal_fallacies", "logical_deduction_three_objects", "logical_deduction_five_objects",
    "navigate", "temporal_sequences", "tracking_shuffled_objects_three_objects", "web_of_lies",
    "reasoning_about_colored_objects", "date_understanding",
)  # fmt: skip


def big_bench_hard(clone: Clone) -> Iterator[Request]:
    """Twenty from each of ten tasks of deduction."""
    for name in _LOGIC:
        for row in spread(json.loads(clone.text(f"bbh/{name}.json"))["examples"], 20):
            yield Request("big_bench_hard", "reasoning", "en", (row["input"],))


def parti(clone: Clone) -> Iterator[Request]:
    """Descriptions of pictures to be made, of at least five words, with no verb of asking."""
    rows = list(csv.DictReader(io.StringIO(clone.text("PartiPrompts.tsv")), delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in spread([row for row in rows if len(row["Prompt"].split()) > 4]):
        yield Request("parti", "image_generation", "en", (row["Prompt"],))


_LOOKED_UP = {"weather", "exchange_rate", "traffic", "flight_status", "gas"}
_UNCLEAR = {"play_music", "next_song", "what_song", "oos", "gas_type", "restaurant_reviews", "book_flight"} | {
    "restaurant_suggestion", "mpg", "distance", "calculator", "book_hotel", "international_visa", "vaccines",
    "travel_alert", "current_location", "time", "date", "measurement_conversion", "calories", "application_status",
}  # fmt: skip


def clinc(clone: Clone) -> Iterator[Request]:
    """What people say to an assistant: two hundred of plain intents, and those that need fresh facts."""
    rows = [(text, intent) for text, intent in json.loads(clone.text("data/data_full.json"))["test"]]
    yield from (Request("clinc", "research", "en", (text,)) for text, intent in rows if intent in _LOOKED_UP)
    yield from (Request("clinc", "math", "en", (text,)) for text, intent in rows if intent == "calculator")
    plain = [text for text, intent in rows if intent not in _LOOKED_UP | _UNCLEAR]
    yield from (Request("clinc", "general", "en", (text,)) for text in spread(plain))


SETS: tuple[tuple[str, str, Callable[[Clone], Iterator[Request]]], ...] = (
    ("lm-sys/FastChat", "0e6d3e4beaab66f4d3f93db72541a4abab8af28d", mt_bench),
    ("lm-sys/FastChat", "0e6d3e4beaab66f4d3f93db72541a4abab8af28d", vicuna),
    ("openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c", gsm8k),
    ("google-research/url-nlp", "452a21ad3dae5668c06ceeac21ff073e1e40f9be", mgsm),
    ("openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d", human_eval),
    ("suzgunmirac/BIG-Bench-Hard", "9ee07bd481feebf959a6b59d61ea57bdcf30964d", big_bench_hard),
    ("google-research/parti", "5a657978134374ce28973948331b319adef164bd", parti),
    ("clinc/oos-eval", "828f8093932c8fe6ca7936c3d2e52903b1c523de", clinc),
)


def clone(folder: Path, repository: str, commit: str) -> Clone | None:
    """The clone in this folder, as NAME or OWNER+NAME/repo."""
    owner, name = repository.split("/")
    places = (folder / name, folder / f"{owner}+{name}" / "repo")
    return next((Clone(place, commit) for place in places if place.exists()), None)


def external(folder: Path) -> list[Request]:
    """Every set whose clone lies in the folder."""
    found = ((clone(folder, repository, commit), read) for repository, commit, read in SETS)
    return [one for source, read in found if source for one in read(source)]
