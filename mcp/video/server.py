"""Short videos, made by the user's own engines."""

from portal.shipped.face import Face

FACE = Face(
    name="video",
    title="Video",
    instructions="Makes short videos from a description, or sets a picture in motion, by the user's own ComfyUI. "
    "That takes minutes. list_video_workflows tells what is ready, and what the others lack.",
    makes=("video",),
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
