"""Reading: a row becomes a job or a rejection with its column, whatever it holds."""

import json
import math
from decimal import Decimal

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.read_row import check_models, job_from_row
from schemas.job import Job
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.payload import InvalidPayload, Payload
from schemas.row import Entries, ParsedJson
from services.job_columns import COLUMNS
from tests.strategies import json_values, requests, texts

HI = {"job_id": "a", "prompt": "hi"}
#: any value that a checked Parquet column can bring
values = (
    json_values
    | st.binary(max_size=5)
    | st.floats()
    | st.integers(-(2**63), 2**64 - 1)
    | json_values.map(orjson.dumps).map(bytes.decode)
)
_NUMBERS = ("max_tokens", "max_input_tokens", "priority")


def read(row):
    return job_from_row(0, row, 1_024)


@st.composite
def rows(draw):
    row = draw(st.dictionaries(st.sampled_from(sorted(COLUMNS)), values, max_size=6))
    for name in _NUMBERS:  # these columns are numbers, or the file is refused
        if name in row:
            row[name] = draw(st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats())
    return HI | row if draw(st.booleans()) else row


@given(rows())
@example(HI | {"params": '{"max_tokens": 18446744073709551616}'})
@example(HI | {"max_cost_usd": "sNaN"})
@example(HI | {"max_cost_usd": "1e999999999999999999"})
@example(HI | {"system": "[{" * 2_000})
@example({"job_id": "a", "messages": "[" * 5_000})
@example({"job_id": "a\0", "prompt": "x"})
def test_every_row_is_a_job_or_a_rejection_with_a_column_and_a_reason(row):
    try:
        job = read(row)
    except InvalidPayload as error:
        refusal = error
        assert refusal.column
        assert refusal.reason
    else:
        assert isinstance(job, Job)
        assert 1 <= job.payload.max_tokens < 2**63
        assert job.job_id.isprintable()
        assert job.max_cost is None or job.max_cost >= 0
        assert -(2**63) <= job.priority < 2**63


@given(requests, st.sampled_from(["columns", "json", "params", "whole"]))
def test_a_request_comes_through_unchanged_in_whichever_columns_it_is_written(sent, written):
    if written == "columns":
        own = {
            k: v
            for k, v in sent.items()
            if k not in ("cache_control", "service_tier", "inference_geo", "speed")
        }
        rest = {k: v for k, v in sent.items() if k not in own}
        # a column's null fields mean "not there", so nested values travel as JSON
        row = {k: v if isinstance(v, int) or (k == "system" and isinstance(v, str)) else orjson.dumps(v).decode() for k, v in own.items()}  # fmt: skip
        row |= {"params": orjson.dumps(rest).decode()} if rest else {}
    elif written == "whole":
        row = {"params": orjson.dumps(sent).decode()}
    elif written == "json":
        row = {"messages": orjson.dumps(sent["messages"]).decode()}
        row |= {"params": orjson.dumps({k: v for k, v in sent.items() if k != "messages"}).decode()}
    else:
        row = {"messages": sent["messages"], "params": orjson.dumps({k: v for k, v in sent.items() if k != "messages"}).decode()}  # fmt: skip
    assert read({"job_id": "a"} | row).payload.request == sent


def test_a_line_for_the_batches_of_the_provider_is_a_job_that_is_pinned_to_its_model():
    request = {"max_tokens": 7, "system": "Be kind.", "messages": [{"role": "user", "content": "hi"}]}
    for params in (
        orjson.dumps({"model": "claude-x", **request}).decode(),
        ParsedJson({"model": "claude-x", **request}),
    ):
        job = read({"job_id": "a", "params": params})
        assert (job.payload.request, job.model) == (request, "claude-x")
    job = read({"job_id": "a", "model": "claude-y", "params": ParsedJson(request)})
    assert (job.payload.request, job.model) == (request, "claude-y")


@given(texts.filter(str.strip))
def test_a_system_text_is_sent_as_the_text_it_is(text):
    assert read(HI | {"system": text}).payload.request["system"] == text


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("job_id", {"prompt": "x"}),
        ("job_id", {"job_id": " ", "prompt": "x"}),
        ("job_id", {"job_id": "a" * 201, "prompt": "x"}),
        ("job_id", {"job_id": "a\nb", "prompt": "x"}),
        ("messages", {"job_id": "a"}),
        ("messages", HI | {"messages": "[]"}),
        ("messages", {"job_id": "a", "messages": "[{SECRET"}),
        ("messages", {"job_id": "a", "messages": '{"SECRET": 1}'}),
        ("messages", {"job_id": "a", "prompt": "  "}),
        ("prompt", {"job_id": "a", "prompt": b"SECRET"}),
        ("tools", HI | {"tools": '{"SECRET": 1}'}),
        ("thinking", HI | {"thinking": '["SECRET"]'}),
        ("params", HI | {"params": '"SECRET"'}),
        ("params", HI | {"params": '{"messages": ["SECRET"]}'}),
        ("params", HI | {"max_tokens": 5, "params": '{"max_tokens": 6}'}),
        ("temperature", HI | {"params": '{"temperature": 1}'}),
        ("model", HI | {"params": '{"model": "SECRET"}'}),
        (
            "model",
            {
                "job_id": "a",
                "params": '{"model": "SECRET !", "messages": [{"role": "user", "content": "x"}]}',
            },
        ),
        ("model", {"job_id": "a", "params": '{"model": 5, "messages": [{"role": "user", "content": "x"}]}'}),
        (
            "params",
            {
                "job_id": "a",
                "model": "m",
                "params": '{"model": "SECRET", "messages": [{"role": "user", "content": "x"}]}',
            },
        ),
        ("params", {"job_id": "a", "max_tokens": 5, "params": '{"max_tokens": 6, "messages": ["SECRET"]}'}),
        ("messages", {"job_id": "a", "params": '{"messages": "SECRET"}'}),
        ("messages", {"job_id": "a", "params": '{"max_tokens": 5}'}),
        ("max_tokens", HI | {"max_tokens": 0}),
        ("max_tokens", HI | {"max_tokens": 1.5}),
        ("max_tokens", HI | {"max_tokens": math.inf}),
        ("max_tokens", HI | {"max_tokens": 2**64 - 1}),
        ("max_input_tokens", HI | {"max_input_tokens": 0}),
        ("priority", HI | {"priority": 2**63}),
        ("max_cost_usd", HI | {"max_cost_usd": "SECRET"}),
        ("max_cost_usd", HI | {"max_cost_usd": -0.01}),
        ("max_cost_usd", HI | {"max_cost_usd": math.inf}),
        ("max_cost_usd", HI | {"max_cost_usd": Decimal(10**7)}),
        ("group", HI | {"group": "g" * 101}),
    ],
)
def test_a_row_that_is_no_job_names_the_column_to_fix_and_quotes_nothing(column, row):
    with pytest.raises(InvalidPayload) as refused:
        read(row)
    assert refused.value.column == column
    assert "SECRET" not in str(refused.value)


def test_what_a_row_leaves_out_is_the_policys():
    job = read(HI | {"model": " ", "group": None, "max_cost_usd": math.nan, "max_tokens": math.nan})
    assert (job.payload.max_tokens, job.model, job.group, job.max_cost, job.priority) == (
        1_024,
        None,
        None,
        None,
        0,
    )


def test_a_nested_number_that_is_no_number_is_refused():
    with pytest.raises(InvalidPayload):
        read(HI | {"thinking": {"type": "enabled", "budget_tokens": math.nan}})


@pytest.mark.parametrize("odd", [{"model": "m" * 101}, {"model": "m\0"}, {"model": ".."}, {"group": "g\0"}])
def test_a_text_that_no_database_or_path_takes_is_refused_by_its_column(odd):
    with pytest.raises(InvalidPayload) as refusal:
        job_from_row(0, {"job_id": "a", "prompt": "Hello", **odd}, 100)
    assert refusal.value.column == next(iter(odd))


HAIKU, SONNET, OLD = (
    ModelFacts(name, "active") for name in ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-haiku-4-5")
)
ENABLED = {"thinking": '{"type": "enabled", "budget_tokens": 1024}', "max_tokens": 2_000}


@pytest.mark.parametrize(
    ("column", "reason", "row", "models", "mode"),
    [
        (
            "thinking",
            "is refused by claude-haiku-5-5 and claude-sonnet-5-5 (use type adaptive with output_config.effort",
            HI | ENABLED,
            [HAIKU, SONNET],
            Mode.MESSAGES,
        ),
        (
            "max_tokens",
            "is 200,000, above the 128,000 taken by claude-haiku-5-5",
            HI | {"max_tokens": 200_000},
            [HAIKU],
            Mode.MESSAGES,
        ),
        (
            "speed",
            "is refused in a batch (leave it out, or run in messages mode)",
            HI | {"params": '{"speed": "standard"}'},
            [HAIKU, SONNET],
            Mode.BATCHES,
        ),
        (
            "inference_geo",
            "is refused by claude-haiku-4-5",
            HI | {"params": '{"inference_geo": "us"}'},
            [OLD],
            Mode.MESSAGES,
        ),
    ],
)
def test_a_job_that_every_model_refuses_is_told_why_and_what_to_do(column, reason, row, models, mode):
    with pytest.raises(InvalidPayload) as refused:
        check_models(read(row), models, mode)
    assert refused.value.column == column
    assert reason in refused.value.reason


def test_a_job_that_one_model_takes_or_that_no_model_is_known_for_goes_on():
    check_models(read(HI | ENABLED), [HAIKU, OLD], Mode.MESSAGES)
    check_models(read(HI | ENABLED), [ModelFacts("claude-of-tomorrow", "active")], Mode.MESSAGES)
    check_models(read(HI | ENABLED), [], Mode.MESSAGES)


# --- what a row says is what is sent -----------------------------------------------------------------------------

#: numbers as JSON writes them, those too that no machine holds
_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
_strings = st.text("aäß\0\n\u2028😀\ufeff", max_size=4).map(json.dumps) | st.just(r'"\ud800"')


def _nested_texts(inner):
    objects = st.lists(st.tuples(_strings, inner), max_size=3)
    return st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]") | objects.map(
        lambda pairs: f"{{{', '.join(f'{name}: {value}' for name, value in pairs)}}}"
    )


#: everything that JSON can say, as text
json_texts = st.recursive(
    _numbers | _strings | st.sampled_from(["null", "true", "false", "NaN", "[" * 400 + "]" * 400]),
    _nested_texts,
    max_leaves=6,
)


def meant(text):
    """What a JSON text says, to the last digit, with the pairs of its objects in their order."""
    return json.loads(
        text, parse_int=Decimal, parse_float=Decimal, object_pairs_hook=lambda pairs: ("object", pairs)
    )


@given(json_texts, st.sampled_from(["tools", "messages", "params"]))
def test_everything_that_json_can_say_reaches_the_wire_as_it_was_or_its_row_is_refused(value, column):
    tools = f'[{{"name": "t", "input_schema": {{"type": "object", "x": {value}}}}}]'
    blocks = f'[{{"role": "user", "content": [{{"type": "document", "x": {value}}}]}}]'
    written = {"tools": tools, "messages": blocks, "params": f'{{"tools": {tools}}}'}[column]
    row = {"job_id": "a", column: written}
    row |= {} if column == "messages" else {"prompt": "hi"}
    try:
        payload = read(row).payload
    except InvalidPayload as refused:
        assert refused.reason  # noqa: PT017 - or it is sent
        return
    name = "messages" if column == "messages" else "tools"
    for body in (
        payload.message_body("m"),
        payload.count_body("m"),
        Payload.restored(payload.text).message_body("m"),
    ):
        wire = json.dumps(body, ensure_ascii=False, allow_nan=False).encode().decode()
        assert dict(meant(wire)[1])[name] == meant({"messages": blocks}.get(column, tools))


@given(json_values)
def test_what_a_machine_can_hold_is_not_refused(value):
    tools = [{"name": "t", "input_schema": {"type": "object", "x": value}}]
    assert read(HI | {"tools": json.dumps(tools)}).payload.request["tools"] == tools


NOTHING = {"type": None, "text": None}


def call(**more):
    return {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n"} | more]}


def conversation(turn):
    answer = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
    return {"job_id": "a", "messages": [{"role": "user", "content": "hi"}, turn, answer]}


def test_a_struct_without_any_value_is_not_there():
    """As writers have it that know no missing structs."""
    block = {
        "type": "text",
        "text": "hi",
        "source": NOTHING,
        "cache_control": {"type": None, "ttl": {"a": None}},
    }
    row = {
        "job_id": "a",
        "messages": [{"role": "user", "content": [block]}],
        "thinking": NOTHING,
        "metadata": NOTHING,
    }
    request = read(row | {"params": NOTHING, "system": None}).payload.request
    assert request["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert set(request) == {"messages", "max_tokens"}


def test_a_call_without_arguments_keeps_its_empty_input_and_another_block_gets_none():
    [_, sent, _] = read(conversation(call(input={"city": None}))).payload.request["messages"]
    assert sent == call(input={})
    plain = {"role": "user", "content": [{"type": "text", "text": "hi", "input": {"city": None}}]}
    assert (
        "input" not in read({"job_id": "a", "messages": [plain]}).payload.request["messages"][0]["content"][0]
    )


def test_a_tool_without_parameters_keeps_its_empty_properties():
    tool = {"name": "t", "input_schema": {"type": "object", "properties": {"city": None}, "required": None}}
    [sent] = read(HI | {"tools": [tool]}).payload.request["tools"]
    assert sent["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (
            conversation(call(input={"a": 1, "SECRET": NOTHING})),
            "messages.1.content.0.input has something inside",
        ),
        (conversation(call(input={"a": [NOTHING]})), "messages.1.content.0.input has something inside"),
        ({"job_id": "a", "messages": [NOTHING]}, "messages.0 is"),
        (
            HI | {"tools": [{"name": "t", "input_schema": {"properties": {"x": NOTHING}}}]},
            "tools.0.input_schema",
        ),
    ],
)
def test_a_struct_without_any_value_where_it_may_mean_something_is_refused(row, place):
    with pytest.raises(InvalidPayload) as refused:
        read(row)
    assert place in refused.value.reason
    assert "a struct without any value" in refused.value.reason
    assert "SECRET" not in str(refused.value)


def test_nulls_of_json_text_are_kept_and_those_of_a_struct_are_not():
    block = {"type": "x", "none": None, "list": [None, {"a": None, "b": 1}]}
    messages = [{"role": "user", "content": [block]}]
    as_text = read({"job_id": "a", "messages": json.dumps(messages)}).payload.request
    assert as_text["messages"] == messages
    [nested] = read({"job_id": "a", "messages": messages}).payload.request["messages"][0]["content"]
    assert nested == {"type": "x", "list": [None, {"b": 1}]}
    entries = {"type": "x", "input": Entries({"a": None})}
    [kept] = read({"job_id": "a", "messages": [{"role": "user", "content": [entries]}]}).payload.request[
        "messages"
    ][0]["content"]
    assert kept == {"type": "x", "input": {"a": None}}
