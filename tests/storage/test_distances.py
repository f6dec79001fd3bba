"""Vectors are compared by the extension where there is one, and by numpy where there is none."""

import apsw
import numpy as np
import pytest

from portal.storage.distances import add_distances, compared_by, extension


@pytest.mark.parametrize("path", [extension(), "", "/nowhere/vec0"])
def test_distances_are_the_same(path: str) -> None:
    assert compared_by() == "sqlite-vec"
    connection = apsw.Connection(":memory:")
    assert add_distances(connection, path) == ("sqlite-vec" if path == extension() else "numpy")
    left, right = np.random.default_rng(1).normal(size=(2, 384)).astype("<f4")
    rows = connection.execute("SELECT vec_distance_l2(?, ?)", (left.tobytes(), right.tobytes())).fetchall()
    assert rows[0][0] == pytest.approx(float(np.linalg.norm(left - right)), rel=1e-5)
