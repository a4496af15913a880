"""What Prefect's check of a form takes, the run takes, and what it refuses, the run refuses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.utilities.schema_tools.validation import validate

from schemas.errors import BadInput
from schemas.forms.fields import USD_AMOUNT
from schemas.forms.flow_forms import CollectForm, NightlyForm, QuoteForm, ResubmitForm, ToolAuditForm
from schemas.payload.api_rules import RULES

ALL_FORMS = (NightlyForm, QuoteForm, ToolAuditForm, CollectForm, ResubmitForm)
FIELDS = [(form, name) for form in ALL_FORMS for name in form.model_fields]
each_field = pytest.mark.parametrize(("form", "name"), FIELDS, ids=[f"{f.__name__}.{n}" for f, n in FIELDS])


#: what a form, a schedule or a program may put into any field
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(1_000, 1_100),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.text("0123456789.:,-+ \n", max_size=18),
    st.text("ab {}.\n", max_size=12),
    st.from_regex(USD_AMOUNT),
    st.from_regex("^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"),
    st.sampled_from(
        ["messages", "batches", "Batches", *RULES.values["effort"], "http://a", "https://", "\n"]
    ),
    st.lists(st.none(), max_size=1),
    st.just({}),
)


def accepted(form, parameters):
    try:
        return form.checked(parameters)
    except BadInput:
        return None


@each_field
def test_a_field_has_a_title_a_description_and_a_place_and_no_box_for_null(form, name):
    field = form.fields_shown()[name]
    assert field["title"]
    assert not re.fullmatch("[a-z_ ]+|[A-Z][a-z]+ [A-Z].*", field["title"]), "made of the name"
    assert field["description"].endswith(".")
    assert field["position"] == list(form.model_fields).index(name)
    assert field.get("default", False) is not None
    if "anyOf" not in field:
        assert field["type"] in {"string", "integer", "boolean"}


def once_each():
    """The fields that differ, each in one of the forms that have it."""
    found = {}
    for form, name in FIELDS:
        kind = {key: value for key, value in form.fields_shown()[name].items() if key not in _WORDS}
        found.setdefault((name, repr(kind)), (form, name))
    return list(found.values())


_WORDS = {"position", "title", "description"}


@pytest.mark.parametrize(("form", "name"), once_each(), ids=[name for _, name in once_each()])
@given(value=ANYTHING)
def test_what_the_form_accepts_the_run_accepts_and_what_it_refuses_the_run_refuses(form, name, value):
    others = {"jobs": "a.csv"} if "jobs" in form.model_fields and name != "jobs" else {}
    schema = {
        "type": "object",
        "required": [name] if form.model_fields[name].is_required() else [],
        "properties": {name: form.fields_shown()[name]},
    }
    errors = validate({name: value}, schema)
    found = accepted(form, others | {name: value})
    assert (found is None) == bool(errors), errors
    if found is not None and isinstance(value, int | float):
        assert (found[name], type(found[name])) == (value, bool if isinstance(value, bool) else int)
