"""The form that Prefect shows of a flow is that of its model, and the flow refuses what the model refuses."""

import inspect

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid_schema

from flows.audit_tools import audit_tools
from flows.collect_batches import collect_batches
from flows.nightly_batch import nightly_batch
from flows.quote import quote
from flows.resubmit_approved import resubmit_approved
from schemas.errors import BadInput
from schemas.forms.flow_forms import CollectForm, NightlyForm, QuoteForm, ResubmitForm, ToolAuditForm

FORMS = {
    nightly_batch: NightlyForm,
    quote: QuoteForm,
    audit_tools: ToolAuditForm,
    collect_batches: CollectForm,
    resubmit_approved: ResubmitForm,
}
each_flow = pytest.mark.parametrize(("flow", "form"), FORMS.items(), ids=[flow.name for flow in FORMS])


def shown_schema(flow):
    return flow.parameters.model_dump_for_openapi()


@each_flow
def test_a_form_has_the_parameters_of_its_flow_and_their_defaults(flow, form):
    taken = inspect.signature(flow.fn).parameters
    assert set(taken) == set(form.model_fields)
    for name, parameter in taken.items():
        field = form.model_fields[name]
        assert field.is_required() == (parameter.default is parameter.empty)
        if not field.is_required():
            assert field.default == parameter.default


@each_flow
def test_prefect_shows_the_fields_of_the_model_and_so_does_its_command(flow, form):
    schema = shown_schema(flow)
    assert schema["properties"] == form.fields_shown()
    assert schema.get("required", []) == [name for name, f in form.model_fields.items() if f.is_required()]
    # what `prefect deploy` makes
    assert parameter_schema(flow) == flow.parameters
    is_valid_schema(schema)


@each_flow
async def test_a_flow_refuses_a_wrong_value_as_bad_input_before_anything_is_opened(
    flow, form, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    wrong = {"ledger": 5} | ({"jobs": "a.csv"} if "jobs" in form.model_fields else {})
    state = await flow.fn(**wrong)
    assert state.is_failed()
    assert "The parameter ledger should be a valid string." in state.message
    assert isinstance(await state.aresult(raise_on_failure=False), BadInput)
    assert list(tmp_path.iterdir()) == []
