"""What is said in recordings and films, as text or subtitles."""

from portal.shipped.face import Face

FACE = Face(
    name="transcription",
    title="Transcription",
    instructions="Writes down what is said in sound files and films of the folders that were named when this server "
    "was started: as text, with times, or as subtitles (SRT, VTT), also translated into English.",
    families={"transcription": ()},
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
