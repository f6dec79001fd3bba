"""Settings of the tools that search the web, drive a browser and read databases."""

from typing import Literal

from pydantic import Field, SecretStr

from portal.settings.section import Seconds, Section


class SearchSettings(Section):
    """How tools search the web."""

    engine: Literal["duckduckgo", "searxng", "brave"] = Field(
        "duckduckgo", description="Who searches: duckduckgo (extra `search`), searxng (needs url) or brave (needs key)."
    )
    url: str = Field("", description="Address of your SearXNG server, whose JSON format must be on.")
    key: SecretStr | None = Field(None, description="Key for Brave Search.")
    results: int = Field(6, gt=0, le=20, description="Results that a search brings.")


class BrowserSettings(Section):
    """The browser that tools may drive (extra `browser`)."""

    executable: str = Field("", description="Chromium or Chrome to use; one that is installed by default.")
    idle: Seconds = Field(300, description="Seconds after which a browser that is not used is closed.")


class SqlSettings(Section):
    """Databases that tools may read, beside files."""

    databases: dict[str, SecretStr] = Field(
        {},
        description="PostgreSQL databases by name, such as "
        '`{"shop" = "postgresql://reader:...@host/shop"}`; name a role that may only read.',
    )
    rows: int = Field(200, gt=0, description="Rows that a query brings.")
    seconds: Seconds = Field(30, description="Seconds that a query may take.")
