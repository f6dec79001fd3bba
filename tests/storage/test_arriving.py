"""Conversations that come in are stored in steps that hold up nothing for long: few responses, and not too large."""

from collections.abc import Sequence
from pathlib import Path

from portal.core.exchange import STEP, STEP_BYTES, Arriving, size_of, steps
from portal.core.ids import new_id
from portal.core.records import ConversationRecord
from portal.settings import Settings
from portal.storage.arrivals import StoredArrivals
from portal.storage.cleaning import Cleaning
from portal.storage.database import Database, Row, Statement
from portal.storage.open import open_storage
from portal.storage.passage_index import index_on
from portal.storage.passages import StoredPassages
from portal.storage.search_sqlite import SqliteSearch
from portal.storage.timed import TimedDatabase
from portal.storage.turn_passages import TurnPassages
from portal.testing.records import OWNER, answered, conversation, imported, response


def turns_of(talk: ConversationRecord, sizes: Sequence[int]) -> list[Arriving]:
    """Answers of so many characters."""
    return [
        Arriving(
            response=response(id=new_id("resp"), status="completed", conversation_id=talk.id),
            inputs=[],
            outputs=[answered("pear " * (size // 5), item_id=f"msg_{number}")],
        )
        for number, size in enumerate(sizes)
    ]


def test_a_step_is_bounded_by_number_and_by_size() -> None:
    talk = conversation()
    assert [len(one) for one in steps(turns_of(talk, [5] * (2 * STEP + 1)))] == [STEP, STEP, 1]
    assert list(steps([])) == [[]]
    third = STEP_BYTES // 3
    turns = turns_of(talk, [third, third, third, third, 3 * STEP_BYTES, third, third])
    made = list(steps(turns))
    assert [one for step in made for one in step] == turns
    assert [len(one) for one in made] == [2, 2, 1, 2]
    assert all(size_of(one) <= STEP_BYTES for one in made if len(one) > 1)


class Noting(TimedDatabase):
    """Notes how many characters of items each batch stores."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, lambda _: None)
        self.sizes: list[int] = []

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        self.sizes.append(sum(len(str(one.args["item"])) for one in statements if "item" in one.args))
        return await super().batch(statements)


async def test_a_long_conversation_comes_in_small_steps(tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        await storage.imports.add(coming := imported(status="importing"))
        database = Noting(storage.database)
        index = index_on(database)
        passages = StoredPassages(database=database, index=index, cleaning=Cleaning(database=database, index=index))
        turns = TurnPassages(database=database, index=passages)
        arrivals = StoredArrivals(database=database, search=SqliteSearch(), turns=turns)
        talk = conversation()
        said = turns_of(talk, [100_000] * 50)
        assert len(await arrivals.take(coming.id, talk, said, owner=OWNER)) == 50
        assert len(await storage.departures.order(OWNER, talk.id)) == 50
        assert sum(database.sizes) > 5_000_000
        assert max(database.sizes) <= STEP_BYTES
