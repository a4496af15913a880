"""What is watched: the alerts as data, from the states that runs end in and the events that they send."""

from rules.shown_state import StateName
from schemas.alert import AlertEventName, AlertSpec

_Name = AlertEventName
#: the flows whose end somebody has to hear of; who asks for a quote or an audit looks at it anyway
WATCHED_FLOWS = ("nightly-batch", "resubmit-approved", "collect-batches")
#: the deployment that has to start every night
NIGHTLY = "nightly"
#: a state of something that lasts is reported by every run, and sent on once a day
_ONCE_A_DAY_SECONDS = 20 * 3600
_RUN_BODY = "{{ flow_run.name }}: {{ flow_run.state.name }}\n{{ flow_run.state.message }}\n{{ flow_run | ui_url or flow_run.id }}"
_EVENT_BODY = (
    "{{ event.payload.sentence }}{% if flow_run %}\n{{ flow_run | ui_url or flow_run.id }}{% endif %}"
)


def state_event(state: str) -> str:
    """The name of the event that Prefect sends when a flow run enters a state."""
    return f"prefect.flow-run.{state}"


def alerts(late_hours: int) -> tuple[AlertSpec, ...]:
    """All alerts.

    Args:
        late_hours: how long a night may be overdue.
    """
    return (
        _of_runs(
            "budget stop",
            "A run deferred jobs for want of money, or passed a cap.",
            (StateName.BUDGET_STOP,),
        ),
        _of_runs(
            "failure",
            "A run failed, crashed, or left rows without an answer.",
            (StateName.FAILED, StateName.INCOMPLETE, "Crashed", "TimedOut"),
        ),
        _of_event("over hold", "Bills were above the worst case that was held for them.", _Name.OVER_HOLD),
        _of_event("drift", "Bills left the lines of the earlier ones.", _Name.DRIFT),
        _of_event(
            "old reviews",
            "Jobs wait for a person for longer than the policy's alerts.review_days; at most once a day.",
            _Name.OLD_REVIEWS,
            _ONCE_A_DAY_SECONDS,
        ),
        _of_event(
            "cap in sight",
            "A cap of the month will be reached before the month ends; at most once a day.",
            _Name.CAP_PROJECTED,
            _ONCE_A_DAY_SECONDS,
        ),
        _night_not_started(late_hours),
    )


def _of_runs(what: str, watches: str, states: tuple[str, ...]) -> AlertSpec:
    """An alert about the state that a run ended in."""
    return AlertSpec(
        name=f"weighbridge: {what}",
        watches=watches,
        events=tuple(state_event(state) for state in states),
        of=WATCHED_FLOWS,
        subject=f"weighbridge: {what}",
        body=_RUN_BODY,
    )


def _of_event(what: str, watches: str, event: AlertEventName, silent_seconds: int = 0) -> AlertSpec:
    """An alert about an event that a run sends at its end."""
    return AlertSpec(
        name=f"weighbridge: {what}",
        watches=watches,
        events=(event,),
        within_seconds=silent_seconds,
        subject=f"weighbridge: {what}",
        body=_EVENT_BODY,
    )


def _night_not_started(late_hours: int) -> AlertSpec:
    """A scheduled night that nobody takes is late; and one that is taken may never come to run.

    Only a schedule that is on makes runs that can be late.
    """
    return AlertSpec(
        name="weighbridge: night not started",
        watches=f"A run of the deployment {NIGHTLY} did not start within {late_hours} hours of its time.",
        events=tuple(state_event(state) for state in ("Running", "Cancelling", "Cancelled", "Crashed")),
        of=(NIGHTLY,),
        of_role="deployment",
        after=(state_event("Late"), state_event("Pending")),
        absent=True,
        within_seconds=late_hours * 3600,
        subject="weighbridge: night not started",
        body=f"{{{{ flow_run.name }}}} did not start within {late_hours} hours. Is a worker running? "
        "`weighbridge doctor` says what is off.\n{{ flow_run | ui_url or flow_run.id }}",
    )
