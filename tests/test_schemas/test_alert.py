"""Where alerts go is a secret: whoever has the address can write there."""

from schemas.alert import AlertChannels, AlertEventName


def test_addresses_and_keys_are_not_in_what_is_printed():
    channels = AlertChannels(
        webhook="https://w.example/secret", slack="https://s/secret", sendgrid_key="secret"
    )
    assert "secret" not in repr(channels)
    assert "secret" not in str(channels)


def test_the_events_of_a_run_cannot_be_taken_for_those_of_prefect():
    assert all(name.startswith("weighbridge.") for name in AlertEventName)
