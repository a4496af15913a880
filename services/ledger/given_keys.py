"""Given keys: what is looked up by two columns together, such as jobs by id and payload."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, JSON, BindParameter, ColumnElement, Connection, bindparam, cast, func, select

#: the columns of `given_keys`, in the order of a key
JOB_AND_PAYLOAD = ("job_id", "fingerprint")


def given_keys(connection: Connection, keys: Iterable[tuple[str, str]]) -> CTE:
    """Job ids, each with the fingerprint of a payload, as a table to join: columns `job_id` and `fingerprint`.

    Two lists in two IN conditions would be every id with every payload: a database looks up each of those pairs. As one
    value of JSON, because a statement with a parameter for each key is compiled again each time.

    Args:
        connection: it is written in the words of its database.
        keys: without control characters, as job ids and fingerprints are.
    """
    given: BindParameter[str] = bindparam("given_keys", json.dumps(list(keys)))
    if connection.dialect.name == "postgresql":
        key = func.json_array_elements(cast(given, JSON)).table_valued("value").c.value
        parts: list[ColumnElement[Any]] = [key.op("->>")(place) for place in (0, 1)]
    else:
        key = func.json_each(given).table_valued("value").c.value
        parts = [func.json_extract(key, f"$[{place}]") for place in (0, 1)]
    columns = [part.label(name) for part, name in zip(parts, JOB_AND_PAYLOAD, strict=True)]
    return select(*columns).cte("given_keys")
