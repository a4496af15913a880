"""`weighbridge audit-tools`."""

from cli.check_input import check_input
from cli.in_flow import done_and_shown, endpoint, places, result_of
from cli.options import (
    IdColumnOption,
    JobsArgument,
    JsonOption,
    LedgerOption,
    LimitOption,
    ModeOption,
    PolicyOption,
    PromptColumnOption,
    ResultsOption,
    SimulateOption,
    option_called,
)
from cli.screen import print_table, screen
from flows.audit_tools import audit_tools as audit_flow
from rules.tool_audit_text import AUDITED_HEADINGS, audit_lines, audit_title, audited_rows, set_line
from schemas.forms.flow_forms import ToolAuditForm
from schemas.tool_audit import ToolAudit


def audit_tools(
    jobs: JobsArgument,
    policy: PolicyOption = None,
    id_column: IdColumnOption = None,
    prompt_column: PromptColumnOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    limit: LimitOption = None,
    mode: ModeOption = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what the tools of the jobs weigh and cost, and how often each was called.

    Each distinct set is counted with all of its tools, with none, and with all but each: free, and once. Nothing is
    sent. Exit codes: 0 when all is well, 2 for wrong input, 1 for anything else.
    """
    ledger_url, folder = places(ledger, results, simulate=simulate)

    asked = {
        "policy": str(policy) if policy else None,
        "ledger": ledger_url,
        "results": folder,
        "limit": limit,
        "mode": mode.value if mode else None,
        "id_column": id_column,
        "prompt_column": prompt_column,
    }

    def work() -> ToolAudit:
        # report plain mistakes at once, before a Prefect server starts
        ToolAuditForm.checked({"jobs": jobs} | asked, option_called)
        check_input(jobs, policy, id_column, prompt_column)
        with endpoint(simulate=simulate) as base_url:
            return ToolAudit.model_validate(result_of(audit_flow, jobs, **asked, base_url=base_url))

    done_and_shown(work, lambda words: ToolAudit(error=words), _print_audit, as_json=as_json)


def _print_audit(report: ToolAudit) -> None:
    console = screen()
    console.print(f"\n{audit_title(report)}\n", markup=False, highlight=False, style="bold")
    for line in audit_lines(report):
        console.print(f"{line}\n", markup=False, highlight=False)
    for one in report.tool_sets:
        console.print(set_line(one), markup=False, highlight=False)
        headings = [name if name in ("tool", "advice") else f">{name}" for name in AUDITED_HEADINGS]
        print_table(console, headings, audited_rows(one))
