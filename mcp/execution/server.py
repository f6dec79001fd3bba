"""Programs in Python, JavaScript and bash, run in a sandbox without network, in sessions that keep their files."""

from portal.shipped.face import Face

FACE = Face(
    name="execution",
    title="Run code",
    instructions="Runs programs in a sandbox. A session is a folder that keeps its files and installed packages from "
    "call to call: give related calls the same session. Plots and new files come back with the result.",
    families={"sessions": ()},
    sandbox=True,
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
