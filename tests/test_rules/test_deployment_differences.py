"""What differs between prefect.yaml and a server, in sentences."""

from dataclasses import replace

import pytest

from rules.deployment_differences import difference_lines, differing_fields
from schemas.deployment import DeploymentSpec, ScheduleSpec

AT_TWO = ScheduleSpec("at-two", "0 2 * * *", "Europe/Berlin")
OURS = DeploymentSpec(
    name="nightly",
    entrypoint="flows.nightly_batch.nightly_batch",
    description="Every night.",
    tags=("weighbridge", "paid"),
    parameters={"mode": "batches"},
    schedules=(AT_TWO,),
    work_pool="weighbridge",
)


def test_the_same_deployment_differs_in_nothing_whatever_the_order_of_its_tags():
    theirs = replace(OURS, tags=("paid", "weighbridge"), entrypoint="elsewhere.f")
    assert differing_fields(OURS, theirs) == []
    assert difference_lines(OURS, theirs) == []


@pytest.mark.parametrize(
    ("changed", "field", "line"),
    [
        (
            {"tags": ("mine",)},
            "tags",
            "tags is ['mine'] on the server and ['paid', 'weighbridge'] in the file.",
        ),
        (
            {"parameters": {"mode": "messages"}},
            "parameters",
            "parameters is {'mode': 'messages'} on the server",
        ),
        ({"paused": True}, "paused", "paused is True on the server and False in the file."),
        ({"description": "x"}, "description", "description is 'x' on the server"),
        ({"work_pool": "other"}, "work_pool", "work pool is 'other' on the server"),
        (
            {"schedules": (replace(AT_TWO, active=False),)},
            "schedules",
            'the schedule at-two is "0 2 * * *" in Europe/Berlin, paused on the server and "0 2',
        ),
        ({"schedules": ()}, "schedules", "the schedule at-two is missing on the server"),
        (
            {"schedules": (AT_TWO, ScheduleSpec(None, "0 5 * * *", None))},
            "schedules",
            'the schedule 0 5 * * * None is "0 5 * * *" in UTC, active on the server and missing in the file.',
        ),
    ],
)
def test_a_change_on_the_server_is_one_line_that_says_both(changed, field, line):
    theirs = replace(OURS, **changed)
    assert differing_fields(OURS, theirs) == [field]
    [found] = difference_lines(OURS, theirs)
    assert found.startswith("nightly: ")
    assert line in found
