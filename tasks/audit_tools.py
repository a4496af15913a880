"""Audit tools: weigh every distinct tool set of a file, and price it over the jobs that carry it. Counting is free."""

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from prefect.artifacts import acreate_markdown_artifact

from rules.prices import BilledTokens, PriceCard
from rules.tool_audit_text import as_audit_markdown
from rules.tool_overhead import ToolSet, repeated_bytes, tool_advice, tool_set, tool_weights, variants
from schemas.errors import RunFailed
from schemas.estimate import TokenCount
from schemas.failures import CallFailed
from schemas.money import to_usd
from schemas.outcome import Mode
from schemas.payload.payload import Payload
from schemas.tool_audit import AuditedTool, AuditedToolSet, ToolAudit
from services.ledger import counts
from services.ledger.tool_calls import tool_calls
from services.result_file import write_text
from tasks.count_tokens import JobOnScale
from tasks.quoting import Quoting
from tasks.read_quoted import read_batch
from tasks.step import step
from tasks.weigh_quoted import count_batch, quote_under


@dataclass(slots=True)
class _Carriers:
    """The jobs that carry one tool set to one model: what each weighs, in tokens."""

    tools: ToolSet
    model: str
    tokens: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class _Found:
    """What was found in the file so far."""

    jobs: int = 0
    with_tools: int = 0
    uncountable: int = 0
    sets: dict[tuple[str, str], _Carriers] = field(default_factory=dict)


@step
async def audit_tools(auditing: Quoting, flow_run_id: str | None) -> ToolAudit:
    """Weigh and price the tool sets of a file.

    Args:
        auditing: the file, with the policy that routes its jobs.
        flow_run_id: the Prefect flow run that shows it; None: it runs outside of one.

    Raises:
        RunFailed: the API did not count. What was counted is kept.
    """
    found = await _carriers(auditing)
    answers, calls = await auditing.ledger.off_loop(tool_calls)
    audited = []
    for carriers in found.sets.values():
        if carriers.tools.tools:
            counted = await _counted(auditing, carriers)
            audited.append(await asyncio.to_thread(_audited, auditing, carriers, counted, (answers, calls)))
    report = ToolAudit(
        simulated=auditing.gateway.simulated,
        jobs_path=auditing.file.path,
        jobs=found.jobs,
        jobs_with_tools=found.with_tools,
        uncountable_jobs=found.uncountable,
        answers=answers,
        calls=auditing.gateway.tally.count,
        tool_sets=sorted(audited, key=lambda one: -one.usd),
    )
    text = as_audit_markdown(report)
    write_text(auditing.folder / "tool-audit.md", text)
    if flow_run_id is not None:
        await acreate_markdown_artifact(key="weighbridge-tool-audit", markdown=text)
    return report


async def _carriers(auditing: Quoting) -> _Found:
    """The tool sets of the file, each with the jobs that carry it."""
    found = _Found()
    ids: set[int] = set()
    first = 0
    for rows in auditing.file.batches(auditing.limit):
        jobs, _ = await asyncio.to_thread(read_batch, auditing, ids, first, rows)
        first += len(rows)
        found.jobs += len(jobs)
        carrying = [JobOnScale(job.queued(), job.payload) for job in jobs if job.payload.request.get("tools")]
        found.with_tools += len(carrying)
        await count_batch(auditing, carrying)
        await asyncio.to_thread(_sort_in, auditing, found, carrying)
    return found


def _sort_in(auditing: Quoting, found: _Found, jobs: Sequence[JobOnScale]) -> None:
    """Add jobs to the sets that they carry; what has no count has no price either."""
    for one in jobs:
        tools = tool_set(one.payload.request)
        quoted = quote_under(auditing.scale, replace(one, fitted=None), with_limits=False)
        if tools is None or quoted.quote is None or not tools.tools:
            found.uncountable += 1
            continue
        model, tokens = quoted.quote.estimate.model, quoted.quote.estimate.input_tokens
        carriers = found.sets.setdefault((tools.key, model), _Carriers(tools, model))
        carriers.tokens.append(tokens)


async def _counted(auditing: Quoting, carriers: _Carriers) -> dict[str, int]:
    """Input tokens of the variants of a tool set under its model; each is counted once, and kept."""
    payloads = {name: Payload.checked(request) for name, request in variants(carriers.tools).items()}
    known = await auditing.ledger.off_loop(counts.known, [one.fingerprint for one in payloads.values()])
    missing = {
        name: payload
        for name, payload in payloads.items()
        if carriers.model not in known.get(payload.fingerprint, {})
    }

    async def count(payload: Payload) -> TokenCount:
        tokens = await auditing.gateway.count(payload.count_body(carriers.model))
        return TokenCount(payload.fingerprint, carriers.model, tokens)

    try:
        fresh = await asyncio.gather(*(count(payload) for payload in missing.values()))
    except CallFailed as error:
        raise RunFailed(
            f"The tools could not be counted: {error}. What was counted is kept; audit again, and nothing of it is asked "
            "twice."
        ) from error
    await auditing.ledger.off_loop(counts.add, fresh)
    for one in fresh:
        known.setdefault(one.fingerprint, {})[one.model] = one.input_tokens
    return {name: known[payload.fingerprint][carriers.model] for name, payload in payloads.items()}


def _audited(
    auditing: Quoting, carriers: _Carriers, counted: dict[str, int], kept: tuple[int, dict[str, int]]
) -> AuditedToolSet:
    """One tool set with its weights, its money and its calls."""
    answers, calls = kept
    tools, weights = carriers.tools, tool_weights(carriers.tools, counted)
    card = auditing.scale.models.price_card(carriers.model, datetime.now(UTC))
    batch = auditing.scale.policy.mode is Mode.BATCHES
    jobs = len(carriers.tokens)
    audited = [
        AuditedTool(
            name=name,
            tokens=tokens,
            jobs=jobs,
            calls=calls.get(name, 0),
            usd=to_usd(_cost_of(card, carriers.tokens, tokens, batch=batch)),
            advice=tool_advice(name, tokens, (calls.get(name, 0), answers), tools),
        )
        for name, tokens in weights.by_name.items()
    ]
    never = sum(one.tokens for one in audited if one.advice == "drop")
    overhead = weights.with_all - weights.with_none
    return AuditedToolSet(
        jobs=jobs,
        model=carriers.model,
        tokens_with_all=weights.with_all,
        tokens_with_none=weights.with_none,
        fixed_tokens=weights.fixed,
        names_only_tokens=weights.names_only,
        share=(Decimal(100 * overhead * jobs) / max(1, sum(carriers.tokens))).quantize(Decimal("0.1")),
        usd=to_usd(_cost_of(card, carriers.tokens, overhead, batch=batch)),
        drop_usd=to_usd(_cost_of(card, carriers.tokens, never, batch=batch)),
        repeated_bytes=repeated_bytes(tools),
        uncounted=list(tools.left_out),
        tools=sorted(audited, key=lambda one: -one.tokens),
    )


def _cost_of(card: PriceCard, jobs: Sequence[int], tokens: int, *, batch: bool) -> int:
    """Nano-USD that jobs of these weights cost less when each weighs this many tokens less."""
    return sum(
        card.price(BilledTokens(weight, 0), batch=batch)
        - card.price(BilledTokens(max(0, weight - tokens), 0), batch=batch)
        for weight in jobs
    )
