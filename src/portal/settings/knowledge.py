"""Settings of knowledge: documents that models look things up in."""

from pathlib import Path

from pydantic import Field

from portal.settings.section import Seconds, Section


class KnowledgeSettings(Section):
    """Documents of yours that models look things up in: how they are read and kept up to date."""

    folders: tuple[Path, ...] = Field(
        (),
        description="Folders of this machine that may be watched from the page and with a key, with all below them; "
        "the terminal of this machine may watch any.",
    )
    watch_interval: Seconds = Field(60, description="Seconds between two looks at a watched folder.")
    workers: int = Field(0, ge=0, description="Documents that are read at once; 0 means one per core.")
    reranker: str = Field(
        "",
        description="A model that puts what a search found into a better order, by its id (its server needs "
        "/v1/rerank); empty uses none.",
    )
    attachment_wait: Seconds = Field(
        120, description="Seconds that an answer waits for a long attached file to be read, at most."
    )
    describe_pictures: bool = Field(
        True, description="Pictures are described by a model that sees, where one is there, so that they are found."
    )
    max_file: int = Field(256 * 2**20, gt=0, description="Largest document in bytes that is read.")
    embedder: str = Field(
        "",
        description="The model that turns texts into vectors: an embedding model of a model server by its id; empty "
        "for the embedded one, all-minilm-l6-v2. A choice made on the page or by the API goes before it.",
    )
