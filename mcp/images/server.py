"""Pictures, made and changed by the user's own engines."""

from portal.shipped.face import Face

FACE = Face(
    name="images",
    title="Images",
    instructions="Makes pictures from a description and changes pictures, by the user's own ComfyUI or image server. "
    "list_image_workflows tells what is ready, and what the others lack.",
    makes=("images",),
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
