"""Distances of vectors as a function of SQL: sqlite-vec's where it can be loaded, else numpy's, which is slower."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import apsw

Means = Literal["sqlite-vec", "numpy", "nothing"]


def extension() -> str:
    """Where sqlite-vec lies; empty where it is not installed. Its Python module is not imported: it brings numpy."""
    found = find_spec("sqlite_vec")
    return str(Path(found.origin).with_name("vec0")) if found is not None and found.origin else ""


def compared_by() -> Means:
    """What a connection of this process compares vectors by."""
    connection = apsw.Connection(":memory:")
    try:
        return add_distances(connection, extension())
    finally:
        connection.close()


def add_distances(connection: apsw.Connection, path: str) -> Means:
    """Give a connection `vec_distance_l2(a, b)` over float32, by the extension at this path or without it."""
    try:
        connection.enable_load_extension(True)
        connection.load_extension(path)
        connection.enable_load_extension(False)
        return "sqlite-vec"
    except (apsw.Error, AttributeError):  # not there, or SQLite was built without extensions
        return _stand_in(connection)


def _stand_in(connection: apsw.Connection) -> Means:
    if find_spec("numpy") is None:
        return "nothing"
    import numpy as np

    def distance(*both: Any) -> float:
        left, right = (np.frombuffer(vector, "<f4") for vector in both)
        return float(np.linalg.norm(left - right))

    connection.create_scalar_function("vec_distance_l2", distance, 2, deterministic=True)
    return "numpy"
