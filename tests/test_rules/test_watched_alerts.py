"""What is watched: every state that needs a hand, every event that a run sends, and flows that there are."""

from importlib import import_module

from rules.shown_state import StateName
from rules.watched_alerts import NIGHTLY, WATCHED_FLOWS, alerts, state_event
from schemas.alert import AlertEventName
from services.deployments import deployments_of


def test_every_state_of_a_run_that_is_shown_as_failed_is_watched():
    watched = {event for spec in alerts(2) if not spec.absent for event in spec.events}
    failed = {StateName.FAILED, StateName.INCOMPLETE, StateName.BUDGET_STOP}
    assert {state_event(state) for state in failed} <= watched
    assert not {state_event(state) for state in set(StateName) - failed} & watched


def test_every_event_that_a_run_sends_is_watched_by_one_alert():
    watched = [event for spec in alerts(2) for event in spec.events if event.startswith("weighbridge.")]
    assert sorted(watched) == sorted(AlertEventName)


def test_names_are_different_and_each_says_what_it_watches():
    specs = alerts(2)
    assert len({spec.name for spec in specs}) == len(specs)
    assert all(spec.watches.endswith(".") and spec.subject == spec.name for spec in specs)


def test_the_flows_and_the_deployment_that_are_watched_are_there():
    specs = deployments_of()
    assert NIGHTLY in [spec.name for spec in specs if spec.schedules]
    flows = {}
    for spec in specs:
        module, _, name = spec.entrypoint.rpartition(".")
        flows[spec.name] = getattr(import_module(module), name).name
    spends_or_settles = {"nightly", "on-demand", "resubmit-approved", "collect-batches"}
    assert {flows[name] for name in spends_or_settles} == set(WATCHED_FLOWS)


def test_a_night_may_be_overdue_for_as_long_as_was_asked():
    [night] = [spec for spec in alerts(7) if spec.absent]
    assert (night.within_seconds, night.of) == (7 * 3600, (NIGHTLY,))
    assert "within 7 hours" in night.watches
