"""What tests are made of: generated requests, and the shortest way to a job on record."""

import atexit
import copy
import functools
import json
import math
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import event, make_url, select, update

from schemas.attempt import Charge, Settlement, WeighedJob
from schemas.batch import BatchPlace
from schemas.budget import DayCaps, WindowCap, windows_of
from schemas.estimate import Estimate
from schemas.job import Job, JobUpdate
from schemas.ledger import AttemptRow, RunRow
from schemas.money import NanoUsd
from schemas.outcome import Ending, Method, Reason, RunOutcome
from schemas.payload.payload import Payload
from schemas.policy import Policy, validated
from schemas.run import NewRun, RunKey
from services.ledger import Ledger, batches, holds, jobs, open_ledger, runs
from services.ledger.leases import new_token
from services.ledger.leaving import record_leaving
from services.ledger.payers import sharing_payers
from services.ledger.settle import settle

#: of a test that says nothing else
EXAMPLES = 60


def examples(number):
    """How many examples a dear test makes: `number`, and as many times more as the profile in force makes more."""
    return number * settings.default.max_examples // EXAMPLES


#: any text that JSON can carry
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
words = texts.filter(str.strip)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
cache_controls = st.sampled_from(
    [{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "5m"}, {"type": "ephemeral", "ttl": "1h"}]
)
text_blocks = st.builds(lambda text: {"type": "text", "text": text}, words)
cached_blocks = st.builds(lambda block, mark: {**block, "cache_control": mark}, text_blocks, cache_controls)
blocks = st.lists(text_blocks | cached_blocks, min_size=1, max_size=3)
contents = words | blocks
schemas = json_objects.map(lambda more: {**more, "type": "object"})
client_tools = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), "input_schema": schemas},
    optional={"type": st.just("custom"), "description": texts},
)


@st.composite
def message_lists(draw):
    turns = draw(st.lists(contents, min_size=1, max_size=4))
    return [
        {"role": "assistant" if index % 2 else "user", "content": content}
        for index, content in enumerate(turns)
    ]


def _that_agree(sent):
    """The request with its parameters made to agree, and no more than the four cache markers it may have."""
    if not sent.get("tools"):
        sent.pop("tool_choice", None)
    if sent.get("thinking", {}).get("type") == "enabled":
        sent["max_tokens"] += 1_024
        sent.pop("tool_choice", None)
    lists = [sent.get("system"), *(message["content"] for message in sent["messages"])]
    marked = [b for content in lists if isinstance(content, list) for b in content if "cache_control" in b]
    for block in marked[3:]:
        del block["cache_control"]
    life = sent.get("cache_control") or {"type": "ephemeral"}
    for block in marked[:3]:  # a longer life never stands after a shorter one
        block["cache_control"] = life
    return sent


#: Messages requests that the API would take under some model, without a model
requests = st.fixed_dictionaries(
    {"messages": message_lists(), "max_tokens": st.integers(1, 64_000)},
    optional={
        "system": words | blocks,
        "tools": st.lists(client_tools, max_size=2, unique_by=lambda tool: tool["name"]),
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}]),
        "thinking": st.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1_024}]),
        "output_config": st.fixed_dictionaries(
            {},
            optional={
                "effort": st.sampled_from(["low", "max"]),
                "format": st.builds(lambda schema: {"type": "json_schema", "schema": schema}, schemas),
            },
        ),
        "cache_control": cache_controls,
        "stop_sequences": st.lists(words, max_size=2),
        "metadata": st.fixed_dictionaries({}, optional={"user_id": texts}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "inference_geo": st.sampled_from(["us", "global"]),
        "speed": st.sampled_from(["standard", "fast"]),
    },
).map(_that_agree)


def request(text="hello", **more):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 100, **more}


def job(row_number=0, job_id=None, text="hello", **more):
    """A job as the reader makes it."""
    payload = more.pop("payload", None) or Payload.checked(request(text))
    return Job(row_number=row_number, job_id=job_id or f"job-{row_number}", payload=payload, **more)


def policy(**changes) -> Policy:
    """A policy of three routes, with changes in its sections."""
    routes = [
        {"name": "small", "model": "claude-haiku-5-5", "up_to_input_tokens": 100},
        {"name": "middle", "model": "claude-sonnet-5-5", "up_to_input_tokens": 1_000},
        {"name": "large", "model": "claude-opus-5-5", "up_to_input_tokens": 10_000},
    ]
    return validated({"name": "test", "routes": routes, **changes}, "the test")


def quick_ledger(url) -> Ledger:
    """A ledger that need not survive a power cut: most of a test's time would go into SQLite's fsync.

    One that is not there yet is a copy of one that was made for all tests of the process, and what one ledger's engine
    has compiled, the next one's need not compile again.
    """
    file = make_url(url).database
    if url.startswith("sqlite:") and not Path(file).exists():
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_empty_ledger(), file)
    ledger = open_ledger(url)
    if ledger.engine.dialect.name == "sqlite":
        event.listen(ledger.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF").close())
        ledger.engine.dispose()  # the pool's connection came before
    return compiled_once(ledger)


def compiled_once(ledger: Ledger) -> Ledger:
    """The same ledger, which compiles no statement that another one of the process has compiled."""
    ledger.engine.update_execution_options(compiled_cache=_COMPILED)
    return ledger


class _Compiled(dict):
    """Compiled statements by database. SQLAlchemy keeps them by engine, and most tests have an engine of their own."""

    def get(self, key, default=None):
        return super().get(self._by_database(*key), default)

    def __setitem__(self, key, compiled):
        super().__setitem__(self._by_database(*key), compiled)

    @staticmethod
    def _by_database(dialect, *statement):
        return dialect.name, *statement


_COMPILED = _Compiled()


@functools.cache
def _empty_ledger() -> Path:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "empty.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


def owner_of(run_id):
    """The fencing token of a test's run."""
    return f"owner of {run_id}"


def key_of(run_id):
    """A test's run, as its owner."""
    return RunKey(run_id, owner_of(run_id))


def begin(ledger, run_id="run-1", simulated=True, *, results="results", rules=None):
    """A run on record; without rules, under a policy that nobody reads."""
    new = NewRun(
        run_id=run_id,
        jobs_path="jobs.parquet",
        results_path=str(results),
        policy={"name": "test"} if rules is None else rules.model_dump(mode="json"),
        mode="messages" if rules is None else rules.mode,
        endpoint="http://x",
        simulated=simulated,
        prefect_flow_run_id=None,
        owner=owner_of(run_id),
        parks_unknown=rules is None or rules.parks_unknown,
        time_zone="UTC" if rules is None else rules.time_zone,
    )
    runs.begin(ledger, new)
    return run_id


def end_early(ledger, run_id):
    """Close the books of a test's run and end it; how many batches it leaves, in which case it is given back."""
    key = RunKey(run_id, owner_of(run_id))
    left = runs.close_own_books(ledger, key, review_unknown=True)
    if left:
        runs.let_go(ledger, key)
    else:
        runs.finish(ledger, run_id, RunOutcome.FAILED, None)
    return left


def abandon(ledger, run_id):
    """The lease of a run is over: its process has not been heard of for too long."""
    with ledger.write() as connection:
        past = datetime(2000, 1, 1, tzinfo=UTC)
        connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(lease_until=past))


def weighed(queued, worst_case):
    """A queued job with an estimate of this worst case."""
    routed = replace(queued, model="claude-haiku-5-5", input_tokens=10)
    estimate = Estimate(routed.model, 10, Method.COUNTED, 30, NanoUsd(worst_case // 2), NanoUsd(worst_case))
    return WeighedJob(routed, estimate)


def caps(run_id="run-1", run=None, day=None, month=None, date="2026-11-22", due=None, deadline=None, **groups):  # fmt: skip
    """The caps of all jobs, then of each group named: its cap of the day; and of a deadline where one is due."""
    limits = {("run", ""): run, ("day", ""): day, ("month", ""): month, ("deadline", ""): deadline}
    limits |= {("day", group): cap for group, cap in groups.items()}
    reasons = {"run": Reason.RUN_BUDGET, "day": Reason.DAY_BUDGET, "month": Reason.MONTH_BUDGET}
    reasons["deadline"] = Reason.DEADLINE_BUDGET
    return [
        WindowCap(
            window,
            limits.get((window.scope, window.group)),
            Reason.GROUP_BUDGET if window.group else reasons[window.scope],
        )
        for window in windows_of(run_id, date, *groups, deadline=due)
    ]


def take(ledger, worst_cases, run_id="run-1", may_defer=True, resend_unknown=False, without=(), **cap):
    """Holds for the next jobs in the queue, one per worst case."""
    queued = jobs.next_in_queue(ledger, run_id, len(worst_cases), without)
    asked = [weighed(one, cost) for one, cost in zip(queued, worst_cases, strict=False)]
    if cap.pop("split", False):
        payers = sharing_payers(ledger, run_id, [one.row_number for one in queued])
        asked = [replace(one, split=payers.get(one.job.row_number)) for one in asked]
    groups = {group: None for one in asked for group in one.payers.named()}
    return holds.take(
        ledger,
        RunKey(run_id, owner_of(run_id)),
        asked,
        caps(run_id, **groups | cap),
        may_defer=may_defer,
        resend_unknown=resend_unknown,
    )


def job_update(row_number, model=None, input_tokens=None, method=None, decision=None, outcome=None, reason=None, detail=None, expected=None, worst_case=None):  # fmt: skip
    """What is written of a job; with an ending where there is an outcome."""
    ending = None
    if outcome is not None:
        ending = Ending(outcome=outcome, decision=decision, reason=reason, detail=detail)
    return JobUpdate(
        row_number, model=model, input_tokens=input_tokens, method=method, ending=ending, expected=expected,
        worst_case=worst_case,
    )  # fmt: skip


def settlement(attempt_id, state, outcome=None, *, cost=None, reason=None, detail=None, billing=None, **more):
    """How an attempt ended: paid for where there is a cost; without an outcome its job is queued again."""
    charged = {name: more.pop(name) for name in list(more) if name in Charge.__dataclass_fields__}
    ending = None if outcome is None else Ending(outcome=outcome, reason=reason, detail=detail)
    charge = None if cost is None else Charge(cost=NanoUsd(cost), billing=billing, **charged)
    return Settlement(attempt_id=attempt_id, state=state, ending=ending, error=detail, charge=charge, **more)


def _same_day(connection, attempts):
    """The day that attempts were held on: they leave on it."""
    day = connection.scalar(select(AttemptRow.budget_day).where(AttemptRow.attempt_id.in_(attempts)).limit(1))
    return DayCaps(day or "", lambda _: ())


def packed(ledger, attempts, run_id="run-1", *, request_bytes=10, place=BatchPlace(), today=None):  # noqa: B008
    """A batch of attempts on record, as about to leave; on the day of their holds where none is named."""
    with ledger.read() as connection:
        day = today or _same_day(connection, attempts)
    batch = batches.new_batch(run_id, len(attempts), place)
    batches.prepare(ledger, key_of(run_id), batch, attempts, request_bytes, day)
    return batch


def write_down(ledger, leaving, settlements):
    """Put on record, in one transaction, which attempts are about to leave and how others ended."""
    with ledger.write() as connection:
        runs_of = select(AttemptRow.run_id).where(AttemptRow.attempt_id.in_(leaving)).distinct()
        for run_id in connection.scalars(runs_of).all():
            today = _same_day(connection, leaving)
            record_leaving(connection, RunKey(run_id, owner_of(run_id)), leaving, today, new_token())
        settle(connection, settlements)


#: stands in payloads and must be seen nowhere else; no identifier, so that no name of a field or a tool is like it
MARK = "hid-den wörd"
#: stands for a nest too deep for most readers, and is put in as text
_NEST = "@nest@"
odd_values = (
    st.sampled_from(
        [None, True, 0, -1, 2**63, 2**64, -(10**400), 0.0, math.nan, math.inf, "", " ", "\0", "\ud800"]
    )
    | st.sampled_from([MARK, f"{MARK}\n", {MARK: MARK}, [MARK], [], {}, [[]], [None], {"type": MARK}, _NEST])
    | json_values
)
marked_texts = st.sampled_from([MARK, f" {MARK} "]) | texts.map(lambda text: text + MARK)


def places(value, path=()):
    """Every place in a JSON value, the value itself first."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


@st.composite
def mutated(draw, value):
    """A JSON value that differs from this one at a random place."""
    value = copy.deepcopy(value)
    *path, last = draw(st.sampled_from([place for place in places(value) if place]))
    inside = value
    for key in path:
        inside = inside[key]
    match draw(st.sampled_from(["replace", "replace", "delete", "repeat", "add"])):
        case "replace":
            inside[last] = draw(odd_values)
        case "delete":
            del inside[last]
        case "repeat" if isinstance(inside, list):
            inside += [inside[last]] * draw(st.integers(1, 3))
        case "add" if isinstance(inside[last], dict):
            inside[last][draw(marked_texts | texts)] = draw(odd_values)
        case _:
            inside[last] = [inside[last]]
    return value


@st.composite
def json_texts(draw, value, *, damaged=True):
    """A JSON value as the bytes of a text column: as it is, or cut, or with a byte that does not belong there."""
    written = json.dumps(value).replace(f'"{_NEST}"', "[" * 3_000 + "]" * 3_000).encode()
    match draw(st.sampled_from(["whole", "cut", "byte", "twice", "utf-8"])) if damaged else "whole":
        case "cut":
            return written[: draw(st.integers(0, len(written)))]
        case "byte":
            at = draw(st.integers(0, len(written)))
            return written[:at] + draw(st.binary(min_size=1, max_size=2)) + written[at:]
        case "twice":
            return written * 2
        case "utf-8":
            return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    return written
