"""A fixed loop of plain Python, timed beside every figure: machines drift, so figures are quoted as multiples of it."""

import hashlib
from collections.abc import Callable
from statistics import median
from time import perf_counter

_ROUNDS = 20_000


def calibration() -> float:
    """Seconds for a fixed amount of work: hashing and dictionary work, about 30 ms on a laptop."""
    began = perf_counter()
    seen: dict[str, int] = {}
    digest = b"portal"
    for number in range(_ROUNDS):
        digest = hashlib.sha256(digest).digest()
        seen[digest.hex()] = number
    return perf_counter() - began


def measure(run: Callable[[], float], *, rounds: int = 5) -> tuple[float, float]:
    """Median of `run`'s figure, and median of its ratio to a calibration made just before each round."""
    figures, ratios = [], []
    for _ in range(rounds):
        loop = calibration()
        figure = run()
        figures.append(figure)
        ratios.append(figure / loop)
    return median(figures), median(ratios)
