"""Repositories of the folders that a person names: status, history, differences, branches, commits, and remotes."""

from portal.shipped.face import Face

FACE = Face(
    name="git",
    title="Git",
    instructions="Git repositories below the folders that were named when this server was started. What a repository's "
    "own settings would run is not run.",
    families={"git": ()},
    where="given",
    sandbox=True,
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
