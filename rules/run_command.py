"""The command that does a run as it was asked for, in the words of the command line: whole, so that it can be pasted."""

from shlex import quote

from rules.ledger_option import ledger_option
from schemas.ledger_place import with_driver
from schemas.run import RunOptions
from schemas.words import masked_url


def run_command(options: RunOptions, *, simulate: bool) -> str:
    """The command; what was left to the settings and the policy is left to them again.

    Args:
        options: of the run, which has a job file.
        simulate: against a simulator of its own.
    """
    sample = options.sample
    values = {
        "--policy": options.policy,
        "--id-column": options.id_column,
        "--prompt-column": options.prompt_column,
        "--max-input-tokens": options.max_input_tokens,
        "--limit": options.limit,
        "--mode": options.mode,
        "--deadline": options.deadline,
        "--sample": sample and sample.rows,
        "--seed": sample.seed if sample and sample.seed != 1 else None,
        "--effort": options.way.effort,
        "--thinking-budget": options.way.budget,
        "--run-budget-usd": options.run_budget_usd,
        "--quote": options.quote,
    }
    given = "".join(f" {name} {quote(str(value))}" for name, value in values.items() if value is not None)
    ledger = "" if options.ledger is None else ledger_option(masked_url(with_driver(options.ledger)))
    return f"weighbridge run {quote(options.jobs or '')}{given}{ledger}{' --simulate' if simulate else ''}"
