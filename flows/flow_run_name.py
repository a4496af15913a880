"""The name of a flow run: its day, its file and its mode; one that a person typed stays as it is."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from coolname.data import config
from prefect.runtime import flow_run

from flows.given_options import given_options
from rules.dated_path import DATE, dated_path
from rules.run_label import run_label
from schemas.run import RunOptions
from schemas.settings import Settings
from tasks.start_run import run_policy

#: what the form of Prefect's UI fills in, such as Rustic-Zebu: an adjective, and an animal of up to six letters
#: (prefect 3.8.8, server/ui_v2_build/assets/deployment_._id.run)
_OF_THE_FORM = re.compile(
    "(Awesome|Rustic|Small|Gorgeous|Fantastic|Sleek|Intelligent|Unbranded|Refined|Licensed|Generic|Practical|Ergonomic"
    "|Handcrafted|Tasty|Handmade|Incredible)-[A-Z].{0,5}"
)


def flow_run_name() -> str:
    """The name of the flow run that begins."""
    name = flow_run.get_name()
    if name and not is_made_up(name):
        return name
    try:
        return _label({"jobs": None, **flow_run.get_parameters()})
    except Exception:  # noqa: BLE001 - a name stops no run; what is wrong here the run itself reports
        return name or ""


def is_made_up(name: str) -> bool:
    """Whether Prefect made a name up because nobody typed one: its server from two words, or the form of its UI."""
    words = name.split("-")
    return (len(words) == 2 and _words().issuperset(words)) or _OF_THE_FORM.fullmatch(name) is not None


@cache
def _words() -> frozenset[str]:
    """The words that Prefect's server makes names of (prefect.utilities.names)."""
    parts: dict[str, Any] = config
    return frozenset(word for part in parts.values() for word in part.get("words", ()))


def _label(parameters: dict[str, Any]) -> str:
    options = given_options(parameters)
    moment = options.scheduled_for or datetime.now(UTC)
    time_zone, mode = _zone_and_mode(options)
    day = dated_path(DATE, moment, time_zone)
    if options.jobs is None:
        # unless it is asked for, how what was approved goes out is known when it is read
        return run_label(day, None, options.mode)
    return run_label(day, dated_path(options.jobs, moment, time_zone), mode)


def _zone_and_mode(options: RunOptions) -> tuple[str, str | None]:
    """The time zone of the run's policy, and its mode; where there is no such policy, UTC and what was asked for."""
    try:
        policy = run_policy(options, Settings())
    except Exception:  # noqa: BLE001 - the run itself reports what is wrong with it
        return "UTC", options.mode
    return policy.time_zone, policy.mode.value
