"""Words: nothing secret is left of a URL, and what a person needs to recognize it is."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.words import masked_url, printable, with_noun

#: no letter of them is in anything else of the URLs below
secrets = st.text("XYZ0123456789@:/?#&=% ;", min_size=4, max_size=20).map(lambda text: f"XYZ{text}XYZ")
schemes = st.sampled_from(
    ["https", "HTTP", "postgresql", "postgresql+psycopg", "mysql", "sqlite+pysqlcipher"]
)
users = st.sampled_from(["", "ana", "an:a", "a/b", "a?b", "ä"])


def told(secret, shown):
    """Whether a part of a secret that is long enough to be of use can be read."""
    return "XYZ" in shown or any(secret[at : at + 6] in shown for at in range(len(secret) - 5))


@given(schemes, users, secrets, st.booleans())
@example("https", "u", "XYZ:12345?x", False)
def test_a_password_before_the_host_is_never_shown_however_it_is_written(scheme, user, secret, escaped):
    written = quote(secret, safe="") if escaped else secret
    shown = masked_url(f"{scheme}://{user}:{written}@host.example:5432/ledger?sslmode=require")
    assert not told(secret, shown)
    assert shown.startswith(f"{scheme}://")
    assert shown.endswith("@host.example:5432/ledger?sslmode=require")


@given(
    schemes, st.sampled_from(["password", "sslpassword", "api_key", "token", "options", "sslmode"]), secrets
)
def test_no_value_of_a_query_is_shown_but_those_of_settings_that_are_known(scheme, name, secret):
    written = quote(secret, safe="") if name != "sslmode" else quote(f"{secret};", safe="")
    for url in (
        f"{scheme}://host/ledger?{name}={written}",
        f"{scheme}://host/ledger?connect_timeout=5&{written}",
    ):
        assert not told(secret, masked_url(url))
    assert masked_url(f"{scheme}://host/l?connect_timeout=5&{name}=none!").startswith(
        f"{scheme}://host/l?connect_timeout=5&{name}=***"
    )


@given(secrets.map(lambda secret: secret.replace("/", "").replace("?", "").replace("#", "")))
def test_a_lone_user_of_an_address_is_a_key_and_is_not_shown(secret):
    assert masked_url(f"https://{secret}@host/v1") == "https://***@host/v1"


@given(st.text(max_size=60) | st.builds("{}://{}@{}?{}#{}".format, schemes, *[st.text(max_size=9)] * 4))
def test_masking_twice_is_masking_once_and_any_terminal_takes_it(url):
    shown = masked_url(url)
    assert masked_url(shown) == shown
    assert shown.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///weighbridge.db",
        "sqlite:////var/lib/a@b/ledger.db?mode=ro&uri=true",
        "https://api.anthropic.com",
        "http://127.0.0.1:8123/v1",
        "postgresql+psycopg://ana@db.example:5432/ledger?sslmode=verify-full&application_name=night",
        "data/ledger.db",
        "me@host/ledger.db",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(url):
    assert masked_url(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:pw@db/ledger", "postgresql://ana:***@db/ledger"),
        ("postgresql://db/ledger?user=ana&password=pw", "postgresql://db/ledger?user=ana&password=***"),
        ("https://ana:pw@proxy/v1#pw", "https://***@proxy/v1#***"),
        ("https://proxy/sk-ant-api03-pw_w/v1", "https://proxy/***/v1"),
        ("ana:pw@db/ledger", "***@db/ledger"),
    ],
)
def test_what_is_left_of_a_url_says_which_it_is(url, shown):
    assert masked_url(url) == shown


@given(st.text())
def test_printable_text_is_left_alone_and_the_rest_keeps_its_length(text):
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
    assert printable(text) == text or not text.isprintable()


@pytest.mark.parametrize(
    ("number", "nouns", "shown"),
    [
        (1, ("job",), "1 job"),
        (0, ("job",), "0 jobs"),
        (1_200, ("job",), "1,200 jobs"),
        (1, ("batch", "batches"), "1 batch"),
        (2, ("batch", "batches"), "2 batches"),
    ],
)
def test_a_number_stands_with_its_noun_in_the_form_that_it_asks_for(number, nouns, shown):
    assert with_noun(number, *nouns) == shown
