"""What commands say of the alerts that they brought to a server."""

from cli.alerts import bring_alerts as module
from schemas.alert import AlertChannels, AppliedAlerts
from services import alerts as service


def test_each_kind_of_what_was_done_has_its_line(monkeypatch, capsys):
    async def apply(api, specs, channels, *, reset):
        assert (api, reset, len(specs)) == ("http://x/api", True, 7)
        assert any(f"within {module.LATE_HOURS} hours" in spec.watches for spec in specs)
        return AppliedAlerts(made=["a", "b"], reset=["c"], kept=4, differences=["d: it is off."])

    monkeypatch.setattr(service, "apply_alerts", apply)
    module.bring_alerts("http://x/api", AlertChannels(webhook="http://hidden"), reset=True)
    assert capsys.readouterr().out.splitlines() == [
        "Alerts made: a, b.",
        "Alerts reset: c.",
        "4 alerts are there already, as they should be.",
        "Left as it is: d: it is off.",
        "`weighbridge alerts apply --reset`, with the same options, takes it back.",
    ]
