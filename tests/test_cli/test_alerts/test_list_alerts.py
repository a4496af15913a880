"""`weighbridge alerts list`: what is watched, and what is on."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from rules.watched_alerts import alerts

pytestmark = pytest.mark.prefect


def test_what_is_watched_is_listed_before_and_after_it_is_applied(weighbridge, prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        before = weighbridge("alerts", "list")
        for spec in alerts(2):
            assert f" -   {spec.name}  {spec.watches}\n" in before.out
        assert before.out.endswith("`weighbridge alerts apply` makes them.\n")
        weighbridge("alerts", "apply", "--webhook", "http://127.0.0.1:9/hidden")
        after = weighbridge("alerts", "list")
        assert after.out.count("on   weighbridge: ") == len(alerts(2))
        assert after.out.count(" To: custom-webhook/weighbridge-alerts.\n") == len(alerts(2))
        [one, *_] = weighbridge("alerts", "list", "--json").json
        assert one == {
            "name": "weighbridge: budget stop",
            "watches": alerts(2)[0].watches,
            "on": True,
            "sends_to": ["custom-webhook/weighbridge-alerts"],
        }
        weighbridge("alerts", "apply", "--remove")
