"""Words that any database, any terminal and any log takes."""

import re
from urllib.parse import unquote

_MASK = "***"
#: user names of a database that are shown as they are
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,63}")
#: settings in the query of a database URL that are never secret; every other value is masked
_OPEN_SETTINGS = frozenset(
    {
        "application_name",
        "cache",
        "channel_binding",
        "check_same_thread",
        "client_encoding",
        "connect_timeout",
        "dbname",
        "gssencmode",
        "host",
        "hostaddr",
        "immutable",
        "keepalives",
        "keepalives_idle",
        "mode",
        "port",
        "sslmode",
        "target_session_attrs",
        "timeout",
        "uri",
        "user",
    }
)
#: how keys of the API begin, in case one stands in the path
_KEY = re.compile(r"\bsk-[A-Za-z0-9_\-]+")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.,:/\-]{0,200}")


def printable(text: str) -> str:
    """A text that any database and terminal takes: what cannot be printed becomes a question mark."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


def with_noun(number: int, one: str, many: str | None = None) -> str:
    """A number with what it is a number of, such as "1 job" and "1,200 jobs".

    Args:
        number: how many.
        one: the words behind a single one.
        many: the words behind any other number; None: `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def masked_url(url: str) -> str:
    """A URL of an API or a database as it may be shown: without passwords, keys and what could be one.

    A password is masked, and so is a lone user of an API's address, since keys are written there; in the query, every
    value is masked that is not of a known harmless setting. What cannot be told apart is masked too: before a raw "@",
    everything. Masking a masked URL changes nothing.
    """
    text = printable(url)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return _masked_without_scheme(text)
    if scheme.lower().startswith("sqlite") and rest.startswith("/"):  # a path, in which "@" says nothing
        place, mark, query = rest.partition("?")
        return f"{scheme}://{place}{mark}{_masked_query(query)}"
    users, at, rest = rest.rpartition("@")
    rest, hash_, _ = rest.partition("#")
    place, mark, query = rest.partition("?")
    place = _KEY.sub(_MASK, place)
    fragment = _MASK if hash_ else ""
    shown = _masked_users(scheme, users) if at else ""
    return f"{scheme}://{shown}{at}{place}{mark}{_masked_query(query)}{hash_}{fragment}"


def _masked_without_scheme(text: str) -> str:
    """A path stays as it is; what looks like an address with a password does not."""
    users, at, place = text.rpartition("@")
    if at and ":" in users:
        return f"{_MASK}@{place}"
    return text


def _masked_users(scheme: str, users: str) -> str:
    """What stands before the "@": of a database the user's name may be read, of an API's address nothing."""
    name, colon, _ = users.partition(":")
    if scheme.lower().startswith("http") or not _PLAIN_NAME.fullmatch(name):
        return _MASK
    return f"{name}:{_MASK}" if colon else name


def _masked_query(query: str) -> str:
    if not query:
        return ""
    return "&".join(_masked_setting(setting) for setting in query.split("&"))


def _masked_setting(setting: str) -> str:
    name, equals, value = setting.partition("=")
    if not equals or not _PLAIN_NAME.fullmatch(name):
        return _MASK
    if name.lower() in _OPEN_SETTINGS and _PLAIN_VALUE.fullmatch(unquote(value)):
        return setting
    return f"{name}={_MASK}"
