"""`weighbridge resubmit-approved`."""

from cli.in_flow import endpoint, places, result_of, run_and_report
from cli.options import (
    JsonOption,
    LedgerOption,
    ModeOption,
    PolicyOption,
    ResultsOption,
    RunBudgetOption,
    SimulateOption,
    option_called,
    require_ledger,
)
from flows.resubmit_approved import resubmit_approved as resubmit_flow
from schemas.forms.flow_forms import ResubmitForm
from schemas.ledger_place import ledger_url_of
from schemas.settings import Settings
from services.policy_file import read_policy


def resubmit_approved(
    policy: PolicyOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    run_budget_usd: RunBudgetOption = None,
    mode: ModeOption = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send the jobs that reviewers approved, each within its own ceiling.

    The JSON and the exit codes are those of `run`.
    """
    ledger, folder = places(ledger, results, simulate=simulate)
    asked = {
        "policy": str(policy) if policy else None,
        "ledger": ledger,
        "results": folder,
        "run_budget_usd": run_budget_usd,
        "mode": mode.value if mode else None,
    }

    def work() -> object:
        # report plain mistakes at once, before a Prefect server starts
        ResubmitForm.checked(asked, option_called)
        read_policy(policy or Settings().policy)
        require_ledger(ledger_url_of(ledger))
        with endpoint(simulate=simulate) as base_url:
            return result_of(resubmit_flow, **asked, base_url=base_url)

    run_and_report(work, as_json=as_json)
