"""What Portal remembers about a person: remember, recall, forget."""

from portal.shipped.face import Face

FACE = Face(
    name="memory",
    title="Memory",
    instructions="Lasting facts and preferences of the user, shared with Portal. Recall before you answer what depends "
    "on the user; remember what will matter again.",
    stores=("memory",),
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
