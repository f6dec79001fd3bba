"""The scripted engine is as strict as it says, so that tests with it mean something."""

import threading
from pathlib import Path

import pytest

from portal.backends.engine_port import Begun, Ended, Job, Piece
from portal.testing.scripted_engine import ScriptedEngine, echo_job


def job(prompt: str | None = "one two") -> Job:
    messages = [{"role": "user", "content": "a b c"}] if prompt is None else []
    return Job(path=Path("m.gguf"), context=8, threads=1, prompt=prompt, messages=messages, parameters={})


def never() -> bool:
    return False


def test_what_a_script_leaves_out_is_added() -> None:
    engine = ScriptedEngine(default=echo_job)
    assert list(engine.run(job(), never)) == [Begun(2, False), Piece("one", ()), Piece(" two", ()), Ended("stop", 2)]
    assert list(engine.run(job(None), never)) == [
        Begun(3, False),
        Piece("a", ()),
        Piece(" b", ()),
        Piece(" c", ()),
        Ended("stop", 3),
    ]
    engine.script(Begun(9, True), Ended("length", 1), "never")
    assert list(engine.run(job(), never)) == [Begun(9, True), Ended("length", 1)]


def test_one_at_a_time() -> None:
    engine = ScriptedEngine(default=echo_job)
    running = engine.run(job(), never)
    next(running)
    assert not engine.wait_idle(0)
    with pytest.raises(AssertionError):
        next(engine.run(job(), never))
    running.close()
    assert engine.wait_idle(0)


def test_one_thread() -> None:
    engine = ScriptedEngine(default=echo_job)
    thread = threading.Thread(target=lambda: list(engine.run(job(), never)))
    thread.start()
    thread.join()
    with pytest.raises(AssertionError):
        next(engine.run(job(), never))


@pytest.mark.parametrize("state", ["closed", "missing", "unscripted"])
def test_not_in_any_state(state: str) -> None:
    engine = ScriptedEngine(installed=state != "missing", default=None if state == "unscripted" else echo_job)
    if state == "closed":
        engine.close()
    with pytest.raises(AssertionError):
        list(engine.run(job(), never))
