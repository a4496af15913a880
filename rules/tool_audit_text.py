"""The audit of tools as people read it: the same rows for the terminal, the Markdown file and the Prefect artifact."""

from rules.markdown_table import markdown_table
from schemas.money import usd_rounded
from schemas.tool_audit import AuditedToolSet, ToolAudit
from schemas.words import with_noun

AUDITED_HEADINGS = ("tool", "tokens", "calls in kept answers", "costs", "advice")


def audit_title(report: ToolAudit) -> str:
    simulated = " (simulated: counts of the simulator)" if report.simulated else ""
    return f"Tools of {report.jobs_path}{simulated}"


def audit_lines(report: ToolAudit) -> list[str]:
    """What was looked at, in sentences."""
    lines = [
        (
            f"{report.jobs_with_tools:,} of {report.jobs:,} jobs carry tools, in {len(report.tool_sets):,} sets. Calls were "
            f"counted in {report.answers:,} kept answers. {report.calls:,} calls to count_tokens, which are free and kept."
        )
    ]
    if report.uncountable_jobs:
        lines.append(
            f"{report.uncountable_jobs:,} jobs are left out: the provider does not count server tools, nor requests whose "
            "tools are loaded later, or no route takes them."
        )
    return lines


def set_line(one: AuditedToolSet) -> str:
    """One tool set in a sentence."""
    words = [
        (
            f"{with_noun(one.jobs, 'job')} on {one.model}: {one.tokens_with_all - one.tokens_with_none:,} tokens of tools each, "
            f"{one.share}% of their input, {usd_rounded(one.usd)} together; {one.fixed_tokens:,} of the tokens belong to no "
            f"single tool; with names only it would be {one.names_only_tokens - one.tokens_with_none:,}."
        )
    ]
    if one.drop_usd:
        words.append(f"Dropping what was never called saves {usd_rounded(one.drop_usd)}.")
    if one.repeated_bytes:
        words.append(f"{one.repeated_bytes:,} bytes of its descriptions repeat others.")
    if one.uncounted:
        words.append(f"Not counted by the provider: {', '.join(one.uncounted)}.")
    return " ".join(words)


def audited_rows(one: AuditedToolSet) -> list[tuple[str, ...]]:
    """The tools of a set, the heaviest first."""
    return [
        (tool.name, f"{tool.tokens:,}", f"{tool.calls:,}", usd_rounded(tool.usd), tool.advice or "")
        for tool in one.tools
    ]


def as_audit_markdown(report: ToolAudit) -> str:
    """The whole audit as Markdown."""
    parts = [f"# {audit_title(report)}", *audit_lines(report)]
    for one in report.tool_sets:
        parts += [set_line(one), markdown_table(AUDITED_HEADINGS, audited_rows(one))]
    return "\n\n".join(parts) + "\n"
