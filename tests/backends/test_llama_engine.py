"""What of the llama.cpp engine needs no llama.cpp; the rest is tested where it is installed."""

import importlib.util
from pathlib import Path

import pytest

from portal.backends.engine_port import Job
from portal.backends.llama_engine import LlamaEngine, is_installed
from portal.errors import BackendUnavailable

THERE = importlib.util.find_spec("llama_cpp") is not None


def test_it_knows_whether_it_is_installed() -> None:
    assert is_installed() is THERE
    assert LlamaEngine().is_installed() is THERE


def test_nothing_is_loaded_at_first_and_closing_is_harmless() -> None:
    engine = LlamaEngine()
    engine.close()
    assert not engine.is_loaded(Path("model.gguf"))
    engine.close()


@pytest.mark.skipif(THERE, reason="llama-cpp-python is installed here")
def test_running_without_the_library_is_refused(tmp_path: Path) -> None:
    """As when it is taken away from a server that runs."""
    job = Job(path=tmp_path / "model.gguf", context=8, threads=1, parameters={})
    with pytest.raises(BackendUnavailable, match="llama_cpp"):
        next(LlamaEngine().run(job, lambda: False))
