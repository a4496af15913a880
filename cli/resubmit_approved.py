"""`weighbridge resubmit-approved`."""

from cli.in_flow import endpoint, places, result_of, run_and_report
from cli.options import (
    JsonOption,
    LedgerOption,
    ModeOfApprovedOption,
    PolicyOption,
    ResultsOption,
    RunBudgetOption,
    SimulateOption,
    option_called,
    require_ledger,
)
from cli.show_report import print_report
from flows.final_state import NOTHING_TO_DO
from flows.resubmit_approved import resubmit_approved as resubmit_flow
from schemas.forms.flow_forms import ResubmitForm
from schemas.ledger_place import ledger_url_of
from schemas.report import RunReport
from schemas.settings import Settings
from services.policy_file import read_policy
from tasks.start_run import NOTHING_APPROVED


def resubmit_approved(
    policy: PolicyOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    run_budget_usd: RunBudgetOption = None,
    mode: ModeOfApprovedOption = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send the jobs that reviewers approved, each within its own ceiling.

    Where none is approved there is no run. The JSON and the exit codes are those of `run`.
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

    run_and_report(work, as_json=as_json, show=_show)


def _show(report: RunReport) -> None:
    if report.run_id:
        print_report(report)
    else:
        print(NOTHING_TO_DO.format(NOTHING_APPROVED))
