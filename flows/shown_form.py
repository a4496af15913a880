"""The form of a flow in Prefect, made of the model of its parameters."""

from collections.abc import Callable
from inspect import Parameter, Signature
from types import NoneType
from typing import Annotated, Any, TypeVar

from prefect import Flow
from prefect.utilities.callables import parameter_schema
from pydantic import Field

from schemas.forms.input_form import InputForm

_Shown = TypeVar("_Shown", bound=Flow[..., Any])


def shown_form(form: type[InputForm]) -> Callable[[_Shown], _Shown]:
    """Give a flow the form of a model; its own signature stays what it is called by.

    `prefect deploy` makes the form of the flow's signature as others see it, and what makes deployments in Python takes
    `flow.parameters` (prefect 3.8.8, cli/deploy/_core.py and flows.py).

    Args:
        form: has a field of the same name and default for each parameter.
    """

    def with_form(flow: _Shown) -> _Shown:
        flow.__signature__ = _signature(form)  # type: ignore[attr-defined]
        flow.parameters = parameter_schema(flow)
        return flow

    return with_form


def _signature(form: type[InputForm]) -> Signature:
    return Signature([_parameter(form, name, dict(schema)) for name, schema in form.fields_shown().items()])


def _parameter(form: type[InputForm], name: str, schema: dict[str, Any]) -> Parameter:
    """A parameter whose JSON schema is that of the model's field, to the letter."""
    default = schema.pop("default", None)
    description = schema.pop("description")
    annotation: Any = Any
    if default is not None:
        field = Field(default=default, description=description, json_schema_extra=schema)
    else:
        field = Field(description=description, json_schema_extra=schema)
        if not form.model_fields[name].is_required():
            # it may be left out, and the schema has no default of null
            annotation = Annotated[Any, Field(default_factory=NoneType)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=field, annotation=annotation)
