"""The time zone that is meant where none is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from portal.app.schedules import local_zone
from portal.settings.schedules import ScheduleSettings


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("usr/share/zoneinfo/Mars/Base", "UTC"),
        ("etc/own", "UTC"),
    ],
)
def test_this_machine_s(tmp_path: Path, target: str, name: str) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(tmp_path / target)
    assert local_zone(link) == name


def test_that_of_the_settings() -> None:
    assert ScheduleSettings(zone="Europe/Berlin").zone == "Europe/Berlin"
    with pytest.raises(ValidationError, match="no time zone"):
        ScheduleSettings(zone="Mars")
