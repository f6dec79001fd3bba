"""Settings of what runs by itself."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from portal.settings.section import Seconds, Section


class ScheduleSettings(Section):
    """Schedules and webhooks: what runs by itself, and its bounds."""

    enabled: bool = Field(True, description="Run schedules and take webhooks in; off, they stay and nothing begins.")
    zone: str = Field(
        "", description="Time zone that is meant where none is named, such as Europe/Berlin; empty is this machine's."
    )
    parallel: int = Field(4, gt=0, description="Runs of all schedules at once.")
    most: int = Field(200, gt=0, description="Schedules and webhooks that one person may have.")
    shortest: int = Field(60, gt=0, description="Least seconds from one run of an interval to the next.")
    grace: Seconds = Field(120, description="Seconds for which a time that has passed is no late one.")
    missed: int = Field(10, gt=0, description="Times that are made up for after Portal was off, where all are wanted.")
    history: int = Field(100, gt=0, description="Ended runs that are kept of each schedule.")
    replay_hours: Seconds = Field(
        72, description="Hours for which a webhook knows what it was sent, so that a second request begins nothing."
    )
    attempts: int = Field(5, gt=0, description="Times that an answer is tried to be delivered.")
    retry_pause: Seconds = Field(30, description="Seconds between the first two tries; doubles each time.")
    hook_bytes: int = Field(262_144, gt=0, description="Largest body of a webhook's request in bytes.")
    hooks_a_minute: int = Field(60, gt=0, description="Requests of one webhook that begin runs in a minute.")
    hooks_waiting: int = Field(
        100, gt=0, description="Runs of one webhook that wait or are under way; what comes then is turned away."
    )

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone, such as Europe/Berlin") from error
        return name
