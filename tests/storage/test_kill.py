"""A server killed in the middle of streaming loses no acknowledged word, and at most its last flush."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portal.core.items import text_of
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import OWNER

SCRIPT = """
import asyncio, pathlib, sys
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import answered, conversation, output, response, said

async def stream(storage, talk, number):
    record = response(id=f"resp_{number}", conversation_id=talk.id)
    await storage.turn_log.begin(record, [said(f"question {number}")])
    print("begun", number, flush=True)
    for item in range(1000):
        for piece in range(5):
            words = answered(f"{item}.{piece} ", item_id=f"msg_{number}_{item}", status="in_progress")
            seq = item * 10 + piece
            await storage.turn_log.flush(record.id, output(record.id, words, position=item, last_seq=seq))
            print("flushed", number, item, piece, seq, flush=True)
        whole = answered("".join(f"{item}.{piece} " for piece in range(5)), item_id=f"msg_{number}_{item}")
        await storage.turn_log.append(record.id, output(record.id, whole, position=item, last_seq=item * 10 + 5))
        print("appended", number, item, flush=True)

async def main():
    async with open_storage(Settings(data_dir=pathlib.Path(sys.argv[1]))) as storage, asyncio.TaskGroup() as group:
        talk = conversation(id="conv_1")
        await storage.conversations.create(talk)
        for number in range(4):
            group.create_task(stream(storage, talk, number))

asyncio.run(main())
"""


def run_and_kill(folder: Path, lines: int) -> list[list[str]]:
    """What the writer said was stored before it was killed, after so many lines."""
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().split() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        said += [line.split() for line in writer.stdout if line.endswith("\n")]
        assert writer.wait() == -signal.SIGKILL
    return said


@pytest.mark.parametrize(
    "lines", [1, 7, 40, 111, 300, *(pytest.param(n, marks=pytest.mark.slow) for n in range(13, 1300, 61))]
)
async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, lines: int) -> None:
    said = run_and_kill(tmp_path, lines)
    begun = {int(words[1]) for words in said if words[0] == "begun"}
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        assert set(await storage.turn_log.recover()) >= {f"resp_{number}" for number in begun}
        for number in begun:
            turn = await storage.responses.get(OWNER, f"resp_{number}")
            assert turn.response.status == "incomplete"
            texts = {stored.position: text_of(stored.item) for stored in turn.items if stored.side == "output"}
            for words in said:
                if words[:2] == ["appended", str(number)]:
                    item = int(words[2])
                    assert texts[item] == "".join(f"{item}.{piece} " for piece in range(5))
                if words[:2] == ["flushed", str(number)]:
                    assert f"{words[2]}.{words[3]} " in texts[int(words[2])]
                    assert turn.response.last_seq > int(words[4])
        assert len((await storage.conversations.turns(OWNER, "conv_1")).data) == 1
