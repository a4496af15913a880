"""What a month will have cost at its end, from its days so far."""

from datetime import date

from pydantic import BaseModel, ConfigDict

from schemas.decimal_text import UsdText


class MonthProjection(BaseModel):
    """What is settled in a month under a cap, and what it will come to. USD.

    Attributes:
        month: such as 2026-11, in the policy's time zone.
        group: whose cap it is; None: that of all jobs.
        days: whole days that it rests on, from the first one that cost something on.
        fewest_days: of fewer days nothing is projected.
        low_usd, expected_usd, high_usd: at the month's end, if the days to come cost each as much as the cheapest tenth
            of the days so far, their mean, and the dearest tenth; None: there are too few days.
        reached_on: the day on which the cap is reached at the mean; None: not in this month, or not known.
    """

    model_config = ConfigDict(extra="forbid")

    month: str
    group: str | None = None
    cap_usd: UsdText
    settled_usd: UsdText
    days: int
    fewest_days: int
    low_usd: UsdText | None = None
    expected_usd: UsdText | None = None
    high_usd: UsdText | None = None
    reached_on: date | None = None
