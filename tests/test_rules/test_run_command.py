"""The command of a run is whole: pasted into a shell, it asks for what was asked."""

import shlex

from hypothesis import given
from hypothesis import strategies as st

from rules.run_command import run_command
from schemas.run import RunOptions, SampleOptions, Way

texts = st.none() | st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12)
numbers = st.none() | st.integers(1, 10**6)


@given(
    st.builds(
        RunOptions,
        jobs=texts.filter(bool),
        policy=texts,
        max_input_tokens=numbers,
        run_budget_usd=st.none() | st.just("0.50"),
        limit=numbers,
        mode=st.sampled_from([None, "messages", "batches"]),
        quote=texts,
        way=st.builds(Way, effort=st.none() | st.just("high")) | st.builds(Way, budget=numbers),
        sample=st.none() | st.builds(SampleOptions, rows=st.integers(1, 99), seed=st.integers(0, 9)),
        id_column=texts,
        prompt_column=texts,
        deadline=st.none() | st.just("06:30"),
        ledger=st.none() | st.just("sqlite:///my ledgers/it's.db"),
    ),
    st.booleans(),
)
def test_a_shell_reads_from_the_command_what_was_asked(asked, simulate):
    name, verb, jobs, *words = shlex.split(run_command(asked, simulate=simulate))
    assert (name, verb, jobs) == ("weighbridge", "run", asked.jobs)
    if simulate:
        assert words.pop() == "--simulate"
    found = dict(zip(words[::2], words[1::2], strict=True))
    sample = asked.sample or SampleOptions(0)
    seed = int(found.pop("--seed", "1"))
    assert asked.sample is None or seed == sample.seed
    wanted = {
        "--policy": asked.policy,
        "--max-input-tokens": asked.max_input_tokens,
        "--run-budget-usd": asked.run_budget_usd,
        "--limit": asked.limit,
        "--mode": asked.mode,
        "--quote": asked.quote,
        "--effort": asked.way.effort,
        "--thinking-budget": asked.way.budget,
        "--sample": asked.sample and sample.rows,
        "--id-column": asked.id_column,
        "--prompt-column": asked.prompt_column,
        "--deadline": asked.deadline,
        "--ledger": asked.ledger,
    }
    assert found == {option: str(value) for option, value in wanted.items() if value is not None}


def test_a_password_of_the_ledger_is_left_to_the_setting_that_has_it():
    asked = RunOptions("jobs.csv", ledger="postgresql://ana:secret@db/weigh")
    assert run_command(asked, simulate=False) == 'weighbridge run jobs.csv --ledger "$WEIGHBRIDGE_LEDGER"'
