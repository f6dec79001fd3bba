"""The doctor's look at the database server and the store of files."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import Installation

from portal.cli.storage_checks import file_findings, vector_findings
from portal.settings import Settings
from portal.settings.files import FileSettings
from portal.storage.open import open_storage
from portal.testing.postgres import PostgresServer
from portal.testing.s3_server import S3Server


def said(settings: Settings) -> list[tuple[str, str]]:
    return [(one.state, one.text) for one in (*vector_findings(settings), *file_findings(settings))]


def test_vectors_on_a_database_server(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    settings = Settings(data_dir=tmp_path, database=url)
    assert [state for state, _ in said(settings)] == ["note"]
    assert "not in the database yet" in said(settings)[0][1]

    async def opened() -> None:
        async with open_storage(settings) as storage:
            await storage.passages.tend()

    asyncio.run(opened())
    ((state, text),) = said(settings)
    assert (state, text.split(" 0.")[0]) == ("good", "Vectors are compared by pgvector")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    ((state, text),) = said(settings)
    assert state == "note"
    assert "0.7.4 is older" in text
    assert said(Settings(database="postgresql://nobody@127.0.0.1:9/none")) == []


def test_the_store_of_files(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    settings = Settings(data_dir=tmp_path, files=FileSettings(store="s3", s3=bucket))
    assert said(settings)[-1] == ("good", f"Files can be kept in the bucket {bucket.bucket}")
    gone = bucket.model_copy(update={"bucket": "no-such-bucket"})
    state, text = said(Settings(data_dir=tmp_path, files=FileSettings(s3=gone)))[-1]
    assert state == "bad"
    assert "no-such-bucket" in text
    state, text = said(Settings(data_dir=tmp_path, files=FileSettings(store="s3")))[-1]
    assert (state, "names no bucket" in text) == ("bad", True)


@pytest.mark.slow
def test_the_doctor_says_it(installation: Installation, postgres: PostgresServer) -> None:
    url = postgres.database()
    done = installation.run("doctor", PORTAL_DATABASE=url)
    assert "Vectors" in done.stdout
