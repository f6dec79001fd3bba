"""Arithmetic of vectors; loaded only where numpy is (the extra `knowledge`).

Vectors are kept as float32 of length 1, or, in cells, as rows of a segment: the key, a scale and a signed byte for each
dimension, so that a cosine is the scale times the product of bytes and query. A row of zeros was erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portal.errors import BadRequest

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]

HEAD = 12
"""Bytes of a row before its codes."""
STEPS = 6
"""Of k-means."""
BLOCK = 256
"""Vectors compared with all centroids at once."""
NEARER = 0.98
"""Of the square of a vector's distance: where another cluster is less far away, the vector moves there."""


def unit_rows(vectors: Floats) -> list[bytes]:
    """Each row as stored: little-endian float32, of length 1. What has no direction gets one that nothing shares.

    Raises:
        BadRequest: a row that is not finite.
    """
    rows = np.array(vectors, dtype="<f4")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise BadRequest("A vector has a component that is no number.")
    rows = np.where(lengths > 0, rows / np.where(lengths > 0, lengths, 1), 1 / np.sqrt(rows.shape[1])).astype("<f4")
    return [row.tobytes() for row in rows]


def vector_of(stored: bytes) -> Floats:
    """A stored row."""
    return np.frombuffer(stored, dtype="<f4")


def stacked(stored: Sequence[bytes]) -> Floats:
    """Stored rows, one below the other."""
    return np.frombuffer(b"".join(stored), dtype="<f4").reshape(len(stored), -1)


def best(stored: Sequence[bytes], vector: Floats, limit: int) -> list[tuple[int, float]]:
    """The places of the nearest of these rows and their cosines, best first."""
    if not stored:
        return []
    scores = stacked(stored) @ vector
    order = np.argsort(-scores, kind="stable")[:limit]
    return [(int(at), float(scores[at])) for at in order]


def encoded(keys: Sequence[int], vectors: Floats) -> Rows:
    """Rows of a segment."""
    steps = np.abs(vectors).max(axis=1, keepdims=True) / 127
    codes = np.rint(vectors / steps).astype(np.int8)
    scales = 1 / np.linalg.norm(codes.astype(np.float32), axis=1)
    rows = np.empty((len(keys), HEAD + vectors.shape[1]), np.uint8)
    rows[:, :8] = np.array(keys, dtype="<i8")[:, None].view(np.uint8)
    rows[:, 8:HEAD] = scales.astype("<f4")[:, None].view(np.uint8)
    rows[:, HEAD:] = codes.view(np.uint8)
    return rows


def rows_of(data: bytes, dimensions: int) -> Rows:
    """The rows of a segment, erased ones among them."""
    return np.frombuffer(data, np.uint8).reshape(-1, HEAD + dimensions)


def living(rows: Rows) -> Rows:
    """Those that were not erased."""
    alive: Rows = rows[keys_of(rows) != 0]
    return alive


def keys_of(rows: Rows) -> Keys:
    """Of each row; 0 where it was erased."""
    return np.ascontiguousarray(rows[:, :8]).view("<i8")[:, 0]


def decoded(rows: Rows) -> Floats:
    """The vectors of rows."""
    scales = np.ascontiguousarray(rows[:, 8:HEAD]).view("<f4")
    decoded: Floats = rows[:, HEAD:].view(np.int8).astype(np.float32) * scales
    return decoded


@dataclass(frozen=True, slots=True)
class Ranked:
    """The rows of segments, best first."""

    keys: Keys
    scores: Floats
    """Their cosines."""
    order: Places
    """Their places among all rows."""
    segments: Sequence[Rows]

    def vectors(self, ranks: Sequence[int]) -> Floats:
        """Of those with these ranks."""
        starts = np.cumsum([0, *(len(rows) for rows in self.segments)])
        places = self.order[list(ranks)]
        found = np.searchsorted(starts, places, side="right") - 1
        rows = [self.segments[at][place] for at, place in zip(found, places - starts[found], strict=True)]
        return decoded(np.stack(rows))


def scored(segments: Sequence[bytes], vector: Floats) -> Ranked:
    """Every row that was not erased; a segment at a time, which stays in the processor's cache."""
    rows = [rows_of(data, len(vector)) for data in (*segments, b"")]
    scores = np.concatenate([_cosines(some, vector) for some in rows])
    keys = np.concatenate([keys_of(some) for some in rows])
    order = np.argsort(-scores)
    order = order[keys[order] != 0]
    return Ranked(keys[order], scores[order], order, rows)


def scored_among(segments: Sequence[bytes], vector: Floats, fitting: Keys) -> tuple[Keys, Floats]:
    """The same of those rows alone whose keys are among these, which are in order."""
    rows = [_among(rows_of(data, len(vector)), fitting) for data in (*segments, b"")]
    scores = np.concatenate([_cosines(some, vector) for some in rows])
    order = np.argsort(-scores)
    return np.concatenate([keys_of(some) for some in rows])[order], scores[order]


def _among(rows: Rows, fitting: Keys) -> Rows:
    keys = keys_of(rows)
    places = np.minimum(np.searchsorted(fitting, keys), len(fitting) - 1)
    found: Rows = rows[fitting[places] == keys]
    return found


def _cosines(rows: Rows, vector: Floats) -> Floats:
    products: Floats = rows[:, HEAD:].view(np.int8).astype(np.float32) @ vector
    cosines: Floats = products * np.ascontiguousarray(rows[:, 8:HEAD]).view("<f4")[:, 0]
    return cosines


def assigned(vectors: Floats, centroids: Floats) -> Places:
    """The nearest centroid of each vector."""
    half = (centroids * centroids).sum(axis=1) / 2
    blocks = [vectors[at : at + BLOCK] @ centroids.T - half for at in range(0, len(vectors), BLOCK)]
    return np.concatenate([block.argmax(axis=1) for block in blocks])


def averaged(vectors: Floats, parts: Places) -> tuple[Places, Floats]:
    """The parts that have vectors, and the mean of each."""
    order = np.argsort(parts, kind="stable")
    filled, starts, sizes = np.unique(parts[order], return_index=True, return_counts=True)
    return filled, (np.add.reduceat(vectors[order], starts) / sizes[:, None]).astype(np.float32)


def settled(vectors: Floats, parts: Places, centroids: Floats) -> tuple[Places, Floats]:
    """A step of k-means for the clusters that these vectors are in: the cluster of each once those stand where their
    vectors are, and all centroids. One stays where it is unless another is clearly nearer, so that steps come to an
    end."""
    mine, means = averaged(vectors, parts)
    centroids = centroids.copy()
    centroids[mine] = means
    nearest = assigned(vectors, centroids)
    before, after = (((vectors - centroids[at]) ** 2).sum(axis=1) for at in (parts, nearest))
    nearest = np.where(after < NEARER * before, nearest, parts)
    filled, means = averaged(vectors, nearest)
    own = np.isin(filled, mine)
    centroids[filled[own]] = means[own]
    return nearest, centroids


def clustered(vectors: Floats, count: int) -> Floats:
    """Centroids of so many clusters, by k-means; the same for the same vectors."""
    dice = np.random.default_rng(len(vectors))
    centroids = vectors[dice.choice(len(vectors), count, replace=False)].copy()
    for _ in range(STEPS):
        filled, means = averaged(vectors, assigned(vectors, centroids))
        centroids[filled] = means
        empty = np.setdiff1d(np.arange(count), filled)
        centroids[empty] = vectors[dice.choice(len(vectors), len(empty), replace=False)]
    return centroids


def nearest_centroids(centroids: Floats, vector: Floats) -> Places:
    """All of them, nearest first, as vectors are assigned to them."""
    closeness = centroids @ vector - (centroids * centroids).sum(axis=1) / 2
    return np.argsort(-closeness)


def parted(vectors: Floats, size: int, smallest: int, largest: int) -> tuple[Floats, Places]:
    """Centroids of clusters of about this size, none too small or too large, and which one each vector belongs to."""
    count = max(-(-len(vectors) // size), 1)
    centroids = clustered(vectors, count)
    parts = assigned(vectors, centroids)
    while len(centroids) > 1 and (sizes := np.bincount(parts, minlength=len(centroids))).min() < smallest:
        centroids = np.delete(centroids, sizes.argmin(), axis=0)
        parts = assigned(vectors, centroids)
    made: list[Floats] = []
    for part in range(len(centroids)):  # what is all alike is cut anywhere
        places = np.flatnonzero(parts == part)
        for piece in np.array_split(places, -(-len(places) // size) if len(places) > largest else 1):
            parts[piece] = -1 - len(made)
            made.append(vectors[piece].mean(axis=0))
    return np.stack(made), -1 - parts
