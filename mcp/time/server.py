"""What time it is anywhere, and reckoning with dates."""

from portal.shipped.face import Face

FACE = Face(
    name="time",
    title="Time",
    instructions="The date and time now in any time zone, differences between dates, and conversion between zones.",
    families={"system": ["current_time"], "maths": ["reckon_dates"]},
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
