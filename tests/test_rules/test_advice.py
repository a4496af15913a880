"""What would let a job pass is true: whoever follows a sentence finds the job within its limits."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.advice import advise
from rules.lesson import LessonKey, Observation, Tally, lesson
from schemas.job import QueuedJob
from schemas.model_facts import ModelFacts
from schemas.money import to_nano
from schemas.outcome import Reason
from schemas.payload.edit import Edit
from schemas.payload.payload import Payload
from schemas.payload.traits import PayloadClass
from schemas.review import ParkedJob
from tests.nights import a_run
from tests.strategies import policy, request

NAMES = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
MODELS = {name: ModelFacts(name, "active", None, 200_000, 64_000) for name in NAMES}
TOOLS = [
    {"name": f"tool-{n}", "description": "x" * 400, "input_schema": {"type": "object"}} for n in range(12)
]


def scales(tokens=1_000_000, usd="1000", mode="messages"):
    limits = {"max_input_tokens": tokens, "max_cost_usd": usd}
    lessons = {
        LessonKey(name, kind): lesson(LessonKey(name, kind), Tally(), policy().margin)
        for name in NAMES
        for kind in PayloadClass
    }
    return a_run(models=MODELS, lessons=lessons, request=limits, mode=mode).scale


def parked(
    asked, tokens, weighed, reason=Reason.OVER_COST_LIMIT, model="claude-opus-5-5", counted=None, **own
):
    payload = Payload.checked(asked)
    waiting = QueuedJob(
        row_number=0, job_id="a", fingerprint=payload.fingerprint, group=None, pinned_model=None,
        max_tokens=payload.max_tokens, own_max_input_tokens=None, own_max_cost=None, cache_ttl=payload.cache_ttl,
        model=model, input_tokens=tokens, method="counted", payload_bytes=1, traits=payload.traits,
    )  # fmt: skip
    bare = ParkedJob(replace(waiting, **own), reason, None, payload.text.decode(), counted or {})
    return replace(bare, worst_case=weighed.worst_case(bare.job, model, tokens, payload.max_tokens))


def talk(turns, size=40):
    return [
        {"role": "assistant" if index % 2 else "user", "content": "w" * size}
        for index in range(2 * turns - 1)
    ]


def number(pattern, text):
    found = re.search(pattern, text)
    return found and Decimal(found[1].replace(",", ""))


@given(
    turns=st.integers(1, 8), tokens=st.integers(1, 150_000), max_tokens=st.integers(1, 64_000),
    most=st.integers(1, 150_000), cents=st.integers(1, 300), tools=st.booleans(), own=st.none() | st.integers(1, 200_000),
    mode=st.sampled_from(["messages", "batches"]),
)  # fmt: skip
def test_each_sentence_is_true(turns, tokens, max_tokens, most, cents, tools, own, mode):
    usd = Decimal(cents) / 100
    weighed = scales(most, str(usd), mode)
    asked = {"messages": talk(turns), "max_tokens": max_tokens} | ({"tools": TOOLS} if tools else {})
    lighter = {"claude-haiku-5-5": max(1, tokens * 3 // 4), "claude-sonnet-5-5": tokens}
    job = parked(asked, tokens, weighed, own_max_input_tokens=own, counted=lighter)
    said = advise(job, weighed) or ""
    fits = weighed.passes(job.job, job.job.model, tokens, max_tokens)
    assert ("raise " in said) == (not fits)
    for sentence in said.splitlines():
        if sentence.startswith("raise"):
            lifted = scales(
                int(number(r"(?<!own )max_input_tokens to ([\d,]+)", sentence) or most),
                str(number(r"(?<!own )max_cost_usd to ([\d.]+)", sentence) or usd),
                mode,
            )
            own_tokens = number(r"own max_input_tokens to ([\d,]+)", sentence)
            lifted_job = replace(
                job, job=replace(job.job, own_max_input_tokens=int(own_tokens) if own_tokens else own)
            )
            assert lifted.passes(lifted_job.job, job.job.model, tokens, max_tokens), sentence
        elif sentence.startswith("lower"):
            lower = int(number(r"to ([\d,]+):", sentence))
            assert 1 <= lower < max_tokens
            assert weighed.passes(job.job, job.job.model, tokens, lower)
            assert to_nano(number(r"worst case ([\d.]+)", sentence)) >= weighed.worst_case(
                job.job, job.job.model, tokens, lower
            )
        elif sentence.startswith("keep"):
            kept = Edit(keep_turns=int(number(r"last (\d+) of", sentence))).of(asked)
            about = int(number(r"about ([\d,]+)", sentence))
            assert "estimate" in sentence
            assert len(kept["messages"]) < len(asked["messages"])
            assert about <= tokens
            assert weighed.passes(job.job, job.job.model, about, max_tokens)
        elif sentence.startswith("drop"):
            assert "estimate" in sentence
            assert weighed.passes(
                job.job, job.job.model, int(number(r"about ([\d,]+)", sentence)), max_tokens
            )
        else:
            model = sentence.split()[0]
            assert weighed.passes(job.job, model, lighter[model], max_tokens)


def test_the_figures_of_the_demo():
    weighed = scales(32_000, "0.50")
    heavy = parked(request("x"), 45_036, weighed)
    assert advise(heavy, weighed).splitlines()[0] == "raise max_input_tokens to 45,036"
    dear = parked(request("x", max_tokens=32_000), 12_017, weighed)
    said = advise(dear, weighed).splitlines()
    assert said[0].startswith("raise max_cost_usd to 0.")
    assert re.match(r"lower max_tokens to [\d,]+: worst case 0\.\d+ USD$", said[1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"tools": [{"type": "web_search_20250305", "name": "w"}]},
            "remove the server tool web_search_20250305",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}
                ]
            },
            "send the image as base64",
        ),
    ],
)
def test_what_cannot_be_counted_says_what_to_do_about_it(changes, words):
    weighed = scales()
    job = parked(request() | changes, 1, weighed, Reason.UNCOUNTABLE)
    job = replace(job, job=replace(job.job, input_tokens=None), worst_case=None)
    said = advise(job, weighed)
    assert words in said
    assert "[uncountable]" in said
    assert "raise" not in said


def test_a_job_of_unknown_outcome_is_told_what_each_decision_means():
    weighed = scales()
    said = advise(parked(request(), 10, weighed, Reason.UNKNOWN_OUTCOME), weighed)
    assert "sent again" in said
    assert "review book" in said
    assert "review accept" not in said
    came = replace(parked(request(), 10, weighed, Reason.UNKNOWN_OUTCOME), has_raw=True)
    assert advise(came, weighed).startswith(said)
    assert "review accept" in advise(came, weighed)


def cut_off(max_tokens, lengths):
    """The advice about a job whose answer was cut off, by what was observed of such answers."""
    kind = LessonKey("claude-opus-5-5", PayloadClass.TEXT)
    seen = Tally(Observation(10, 10, length, 1_000) for length in lengths)
    learned = {
        LessonKey(name, one): lesson(LessonKey(name, one), Tally(), policy().margin)
        for name in NAMES
        for one in PayloadClass
    }
    scale = a_run(models=MODELS, lessons=learned | {kind: lesson(kind, seen, policy().margin)}).scale
    return advise(parked(request("hello", max_tokens=max_tokens), 10, scale, reason=Reason.CUT_OFF), scale)


def test_a_job_whose_answer_was_cut_off_is_told_what_would_suffice_and_that_it_is_paid_for_again():
    said = cut_off(50, range(1, 101))
    assert said.splitlines()[:2] == [
        "edit it with max_tokens 95: 95 % of 100 such answers fitted into it",
        "edit it with max_tokens 99: 99 % of 100 such answers fitted into it",
    ]
    assert "paid for again" in said


@pytest.mark.parametrize(
    ("max_tokens", "lengths"),
    [(50, range(49)), (50, [1_000] * 60), (50, [50] * 60)],
    ids=["too few", "cut off too", "no longer than its own"],
)
def test_what_would_suffice_is_not_known_where_nothing_longer_was_observed(max_tokens, lengths):
    said = cut_off(max_tokens, lengths)
    assert said.startswith("how much more than max_tokens 50 would suffice is not known")
    assert "edit it with" not in said
