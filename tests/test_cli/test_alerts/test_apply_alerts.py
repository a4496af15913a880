"""`weighbridge alerts apply`: what it says it did, and what it refuses."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from rules.watched_alerts import alerts

COUNT = len(alerts(2))


@pytest.fixture
def on_server(weighbridge, prefect_api):
    """The command with the session's Prefect server, on which no alert is left."""
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield weighbridge
        weighbridge("alerts", "apply", "--remove")


def test_without_a_prefect_server_nothing_is_made_and_it_says_how_to_name_one(weighbridge):
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        for arguments in (["apply", "--webhook", "http://127.0.0.1:9"], ["apply", "--remove"], ["list"]):
            refused = weighbridge("alerts", *arguments)
            assert refused.code == 2
            assert "No Prefect server is named: set PREFECT_API_URL" in refused.sentence


@pytest.mark.prefect
def test_it_says_what_was_made_what_is_there_and_what_was_removed_and_never_the_address(
    on_server, monkeypatch
):
    made = on_server("alerts", "apply", "--webhook", "http://127.0.0.1:9/hidden")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith(
        "Alerts made: the block custom-webhook/weighbridge-alerts, weighbridge: budget "
    )
    monkeypatch.setenv("WEIGHBRIDGE_ALERT_WEBHOOK", "http://127.0.0.1:9/hidden")
    again = on_server("alerts", "apply")
    assert again.out == f"{COUNT} alerts are there already, as they should be.\n"

    other = on_server("alerts", "apply", "--webhook", "http://127.0.0.1:9/hidden-too", "--late-hours", 5)
    assert "Left as it is: the block custom-webhook/weighbridge-alerts" in other.out
    assert "Left as it is: weighbridge: night not started: what it listens to" in other.out
    assert other.out.endswith("`weighbridge alerts apply --reset`, with the same options, takes it back.\n")
    reset = on_server("alerts", "apply", "--late-hours", 5, "--reset")
    assert "Alerts reset: weighbridge: night not started." in reset.out

    assert on_server("alerts", "apply", "--remove").out.startswith("Removed: weighbridge: budget stop, ")
    assert on_server("alerts", "apply", "--remove").out == "There was nothing to remove.\n"
    assert not any("hidden" in ended.out for ended in (made, again, other, reset))


@pytest.mark.slow
@pytest.mark.prefect
def test_without_a_channel_it_asks_for_one(on_server):
    refused = on_server("alerts", "apply")
    assert refused.code == 2
    assert refused.sentence.startswith("Where do alerts go? Name --webhook URL")
