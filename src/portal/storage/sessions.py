"""Connections to PostgreSQL that are held for long: both ends notice within seconds when the other is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

STUCK = 5.0
"""Seconds after which whatever is asked on such a connection is taken for lost."""

_CLIENT = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_SERVER = """
SELECT set_config('tcp_keepalives_idle', '2', false), set_config('tcp_keepalives_interval', '1', false),
    set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '5000', false)"""


@asynccontextmanager
async def session(url: str, name: str = "") -> "AsyncIterator[psycopg.AsyncConnection[DictRow]]":
    """One that commits each statement. Entering raises psycopg.Error and TimeoutError."""
    named = {"application_name": name} if name else {}
    address = make_conninfo(url, **_CLIENT, **named)
    async with asyncio.timeout(2 * STUCK):
        connection = await psycopg.AsyncConnection[DictRow].connect(address, autocommit=True, row_factory=dict_row)
    try:
        async with asyncio.timeout(STUCK):
            await connection.execute(_SERVER)
        yield connection
    finally:
        await connection.close()
