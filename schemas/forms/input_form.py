"""What a flow may be asked: the check of a run, and the JSON schema that Prefect shows and enforces, out of one model."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from schemas.errors import BadInput


def _parameter(name: str) -> str:
    """What a field is called where it is a parameter of a flow."""
    return f"The parameter {name}"


class InputForm(BaseModel):
    """The parameters of a flow, by their names. Their order is that of the form.

    It is strict, as JSON schema is: a number in quotes is no number. A text of one line loses the line end that a text
    box of a browser may add.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, regex_engine="python-re")

    #: fields whose values may hold a password, or a part of what is sent, and are not repeated in a message
    private: ClassVar[frozenset[str]] = frozenset({"ledger", "base_url", "prompt_column"})

    @classmethod
    def checked(
        cls, parameters: Mapping[str, Any], called: Callable[[str], str] = _parameter
    ) -> dict[str, Any]:
        """The parameters of a flow, those that were left out with their defaults.

        Args:
            parameters: of the flow, by name.
            called: what the person who gave them knows a field by.

        Raises:
            BadInput: with each one that is wrong, and why.
        """
        try:
            return dict(cls.model_validate(dict(parameters)))
        except ValidationError as error:
            wrong = ". ".join(dict.fromkeys(cls._what_is_wrong(one, called) for one in error.errors()))
            raise BadInput(f"{wrong}. Nothing was counted or sent.") from None

    @classmethod
    def _what_is_wrong(cls, error: ErrorDetails, called: Callable[[str], str]) -> str:
        name = str(error["loc"][0])
        field = cls.model_fields.get(name)
        if field is None:
            return f"There is no parameter {name}"
        if error["type"] == "missing":
            return f"{called(name)} is missing"
        given = "" if name in cls.private else f" {error['input']!r}"
        why = error["msg"].rpartition(" should ")[2]
        if error["type"] == "string_pattern_mismatch" and field.examples:
            why = f"be written like {field.examples[0]}"
        return f"{called(name)}{given} should {why}"

    @classmethod
    def fields_shown(cls) -> dict[str, JsonSchemaValue]:
        """The JSON schema of each field, in the order of the form, as plain as Prefect's forms need it.

        A field that may be left out has no default of null, and is of one type: a null is taken there all the same
        (prefect 3.8.8, utilities/schema_tools/validation.py), and both versions of its UI show a plain box.
        """
        shown = cls.model_json_schema(schema_generator=_PlainSchema)["properties"]
        return {name: shown[name] | {"position": position} for position, name in enumerate(shown)}


class _PlainSchema(GenerateJsonSchema):
    """JSON schema without unions with null, except for a choice: there a list of values would refuse a null."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if "enum" not in inner:
            return inner
        return {"anyOf": [inner | {"title": "choose"}, {"type": "null", "title": "none"}]}

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        if isinstance(schema.get("default"), NoneType):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)
