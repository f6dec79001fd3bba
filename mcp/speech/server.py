"""Text read aloud into sound files."""

from portal.shipped.face import Face

FACE = Face(
    name="speech",
    title="Speech",
    instructions="Reads text, or text files of the folders that were named when this server was started, aloud into "
    "sound files. list_voices tells the voices there are, by language.",
    families={"speech": ()},
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
