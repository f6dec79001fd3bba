"""What Slack takes."""

from portal.core.channels import Limits
from portal.interfaces.slack.markdown import LONGEST, size

LIMITS = Limits(
    text=LONGEST,
    measure=size,
    file=2**30,
    fetch=100 * 2**20,
    interval=1.2,
    per_second=20,
    typing=60,
    silence=30,
    slash="/portal ",
)
