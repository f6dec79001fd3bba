"""Judge the classifier: `python training/classifier/evaluate.py [--external CLONES] [--sources]`, printed as Markdown.

The packaged model on the hard requests and on public sets, none of which it was trained on; with `--sources` also
each of our own sources, by a model that was trained on all the others.
"""

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import rules
from external import external
from sources import Request, requests
from train import LABELS, model_bytes

from portal.routing.classifier import Classifier, packaged_classifier
from vectors import words

Judged = list[tuple[Request, str]]
SHORT = dict(zip(LABELS, ["gen", "cod", "mat", "rea", "cre", "doc", "res", "vis", "img", "aud", "vid"], strict=True))


def by_model(model: Classifier, given: Iterable[Request]) -> Judged:
    """The model's task for the last turn of each."""
    return [(one, model.judge(one.turns[-1], one.turns[:-1]).task) for one in given]


def by_rules(given: Iterable[Request]) -> Judged:
    """What keywords say of the last turn, or of the turn before where they say nothing."""
    judged = []
    for one in given:
        said = [rules.judge(turn) for turn in one.turns]
        judged.append((one, said[-1] if said[-1] != "general" or len(said) == 1 else said[-2]))
    return judged


def accuracy(judged: Judged) -> float:
    """Share of right answers."""
    return sum(one.label == task for one, task in judged) / len(judged)


def macro_f1(judged: Judged) -> float:
    """Mean of F1 over the tasks that occur in the set."""
    right = Counter(one.label for one, task in judged if one.label == task)
    wanted, said = Counter(one.label for one, _ in judged), Counter(task for _, task in judged)
    return sum(2 * right[label] / (wanted[label] + said[label]) for label in wanted) / len(wanted)


def table(title: str, groups: dict[str, list[Request]], judge: Callable[[Sequence[Request]], Judged]) -> None:
    """One line a group: its size, then accuracy and macro-F1 of the classifier and of the rules."""
    print(f"\n| {title} | requests | accuracy | macro-F1 | rules: accuracy | macro-F1 |\n|---|---|---|---|---|---|")
    for name, given in groups.items():
        figures = [measure(judged) for judged in (judge(given), by_rules(given)) for measure in (accuracy, macro_f1)]
        print(f"| {name} | {len(given)} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


def grouped(given: Iterable[Request], key: Callable[[Request], str]) -> dict[str, list[Request]]:
    """The requests by a key, in the order in which the keys first occur."""
    groups: dict[str, list[Request]] = defaultdict(list)
    for one in given:
        groups[key(one)].append(one)
    return dict(groups)


def classes(judged: Judged) -> None:
    """Precision and recall of each task, and what it was taken for."""
    print("\n| asked for | " + " | ".join(SHORT[label] for label in LABELS) + " | precision | recall |")
    print("|---|" + "---|" * (len(LABELS) + 2))
    counts = Counter((one.label, task) for one, task in judged)
    for label in LABELS:
        row = [counts[label, task] for task in LABELS]
        said = sum(counts[other, label] for other in LABELS)
        precision, recall = counts[label, label] / max(1, said), counts[label, label] / max(1, sum(row))
        cells = " | ".join(str(count or "") for count in row)
        print(f"| {label} | {cells} | {precision:.2f} | {recall:.2f} |")


def left_out(given: list[Request]) -> None:
    """Each source judged by a model that never saw it."""
    known, judged = words(), {}
    for source in grouped(given, lambda one: one.source):
        model = Classifier(model_bytes([one for one in given if one.source != source], known))
        judged |= {one: task for one, task in by_model(model, (one for one in given if one.source == source))}
    again: Callable[[Sequence[Request]], Judged] = lambda some: [(one, judged[one]) for one in some]  # noqa: E731
    table("source left out", grouped(given, lambda one: one.source) | {"all": given}, again)
    table("language, source left out", grouped(given, lambda one: one.language), again)
    classes(again(given))


def main() -> None:
    """Print every table."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--external", type=Path)
    parser.add_argument("--sources", action="store_true")
    args = parser.parse_args()
    model, hard = packaged_classifier(), requests(held_out=True)

    def judge(given: Sequence[Request]) -> Judged:
        return by_model(model, given)

    kinds = grouped(hard, lambda one: "follow-ups" if len(one.turns) > 1 else "single requests")
    table("hard requests, never trained on", {"all": hard, **kinds}, judge)
    table("the same by language", grouped(hard, lambda one: one.language), judge)
    classes(judge(hard))
    if args.external:
        found = external(args.external)
        table("public sets", grouped(found, lambda one: one.source + (", 2nd turn" if one.turns[1:] else "")), judge)
        classes(judge(found))
    if args.sources:
        left_out(requests())


if __name__ == "__main__":
    main()
