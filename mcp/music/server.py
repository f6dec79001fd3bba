"""Music and sounds, made by the user's own engines."""

from portal.shipped.face import Face

FACE = Face(
    name="music",
    title="Music",
    instructions="Makes music, songs and sound effects from a description, by the user's own ComfyUI or music server. "
    "list_music_workflows tells what is ready, and what the others lack.",
    makes=("music",),
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
