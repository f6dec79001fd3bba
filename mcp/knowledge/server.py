"""The documents that a person gave to Portal: search, read, add and forget."""

from portal.shipped.face import Face

FACE = Face(
    name="knowledge",
    title="Knowledge",
    instructions="Searches the user's own documents, as they were added to Portal, by words and by meaning. "
    "Search first, then read around what was found.",
    stores=("knowledge",),
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
