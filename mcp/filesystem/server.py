"""Files of the folders that a person names: list, read, search, write, edit, move, copy and delete."""

from portal.shipped.face import Face

FACE = Face(
    name="filesystem",
    title="Files",
    instructions="Files of the folders that were named when this server was started; it reaches nothing else. "
    "list_folder without a path tells which folders those are.",
    families={"files": ()},
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
