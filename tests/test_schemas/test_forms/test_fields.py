"""What the fields of the forms take is what the policy and the API take."""

import re
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.errors import BadInput
from schemas.forms.fields import COLUMN_OR_TEMPLATE, USD_AMOUNT
from schemas.forms.flow_forms import NightlyForm
from schemas.outcome import Mode
from schemas.payload.api_rules import RULES
from schemas.prompt_template import is_template, read_template
from schemas.settings import Settings
from schemas.time_of_day import TimeOfDay
from services.policy_file import read_policy


def accepted(form, parameters):
    try:
        return form.checked(parameters)
    except BadInput:
        return None


@given(st.from_regex(USD_AMOUNT), st.integers(1, 2**53 - 1), st.sampled_from(list(Mode)))
def test_a_policy_takes_every_amount_limit_and_mode_that_the_form_takes(amount, tokens, mode):
    asked = NightlyForm.checked(
        {"jobs": "a", "run_budget_usd": amount, "max_input_tokens": tokens, "mode": mode.value}
    )
    policy = read_policy(Settings().policy).overridden(
        asked["max_input_tokens"], Decimal(asked["run_budget_usd"]), asked["mode"]
    )
    assert (policy.run.budget_usd, policy.request.max_input_tokens, policy.mode) == (
        Decimal(amount.strip()),
        tokens,
        mode,
    )


@given(st.from_regex("^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"))
def test_a_policy_takes_every_deadline_that_the_form_takes(text):
    asked = accepted(NightlyForm, {"jobs": "a", "deadline": text})
    clock = [int(part) for part in text.split(":")]
    assert (asked is not None) == all(part < most for part, most in zip(clock, (24, 60, 60), strict=False))
    if asked is not None:
        deadline = TypeAdapter(TimeOfDay).validate_python(asked["deadline"])
        assert (deadline.hour, deadline.minute) == (clock[0], clock[1])


@given(st.text("ab {}.[]:!\n\t", max_size=14))
def test_the_form_takes_every_template_that_can_be_read_and_no_other(text):
    assume(text)
    try:
        readable = not is_template(text) or bool(read_template(text).columns)
    except ValueError:
        readable = False
    assert (re.search(COLUMN_OR_TEMPLATE, text) is not None) == readable


def test_the_choices_are_those_of_the_run():
    shown = NightlyForm.fields_shown()
    assert shown["mode"]["anyOf"][0]["enum"] == [mode.value for mode in Mode]
    assert shown["effort"]["anyOf"][0]["enum"] == list(RULES.values["effort"])
    assert shown["thinking_budget"]["minimum"] == RULES.limits.thinking_budget_tokens
