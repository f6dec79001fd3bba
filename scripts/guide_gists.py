"""Write `src/portal/backends/guide_gists.bin`: what the sections of the manual say as vectors of the embedded embedder.

Run it before a release, and after much of the manual was changed; sections changed since are embedded by the guide at
its first question, which takes a tenth of a second each.
"""

import asyncio
from pathlib import Path

from portal.backends import gist
from portal.backends.manual import packaged_manual
from portal.knowledge.minilm import MiniLM

TARGET = Path(gist.__file__).with_name("guide_gists.bin")


async def main() -> None:
    """Embed every section and write the file."""
    embedder = MiniLM()
    sections = packaged_manual().sections()
    gists = {gist.digest(each): await gist.gist(embedder, each) for each in sections}
    TARGET.write_bytes(gist.packed(embedder, gists))


if __name__ == "__main__":
    asyncio.run(main())
