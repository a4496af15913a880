"""The review table in plain SQL: what a filter means, and its reviews, their totals and their history.

Whoever has something to ask a ledger with is answered: a command that only looks, through Python's own SQLite, and the
rest of the ledger, through SQLAlchemy. So a filter means the same to a list and to the decision about all it shows.
"""

from dataclasses import fields
from typing import Any

from schemas.money import NanoUsd, to_nano
from schemas.review import Filter, Order, RawAnswer, Review, ReviewDetail, ReviewEvent, Totals
from services.ledger.asking import Asked, read_lines

#: the largest id that the table can have; a database refuses to compare with a larger one
_MAX_ID = 2**31 - 1
#: those without a price, or a weight, come last, in every database
_ORDERS = {
    Order.LATEST: "id DESC",
    Order.OLDEST: "id ASC",
    Order.DEAREST: "coalesce(worst_case_nano_usd, -1) DESC, id DESC",
    Order.HEAVIEST: "coalesce(input_tokens, -1) DESC, id DESC",
}
_COLUMNS = ", ".join(f"reviews.{column.name}" for column in fields(Review))
_LISTED = f"SELECT {_COLUMNS} FROM reviews"  # noqa: S608 - names of ours
_TOTALS = """
SELECT count(*), coalesce(sum(worst_case_nano_usd), 0), coalesce(sum(input_tokens), 0),
       count(*) - count(worst_case_nano_usd), coalesce(sum(version), 0)
FROM reviews
"""
_ONE = f"""
SELECT {_COLUMNS}, review_payloads.payload, review_payloads.edited_payload
FROM reviews LEFT JOIN review_payloads ON review_payloads.review_id = reviews.id
WHERE reviews.id = :review_id
"""  # noqa: S608 - names of ours
_EVENTS = """
SELECT id, review_id, at, changed_by, from_status, to_status, note, ceiling_tokens, ceiling_nano_usd
FROM review_events WHERE review_id = :review_id ORDER BY id
"""
_RAW_ANSWERS = """
SELECT a.attempt_id, a.run_id, a.ended_at, a.held_nano_usd, a.worst_case_nano_usd, responses.body
FROM reviews CROSS JOIN attempts a CROSS JOIN responses
WHERE reviews.id = :review_id AND a.fingerprint IN (reviews.fingerprint, reviews.edited_fingerprint)
  AND a.job_id = reviews.job_id AND a.state = 'unknown' AND responses.attempt_id = a.attempt_id
ORDER BY a.ended_at DESC, a.attempt_id DESC LIMIT :most
"""
_RAW_ANSWER_OF = """
SELECT a.attempt_id, a.run_id, a.ended_at, a.held_nano_usd, a.worst_case_nano_usd, responses.body
FROM attempts a JOIN responses ON responses.attempt_id = a.attempt_id
WHERE a.attempt_id = :attempt AND a.state = 'unknown'
"""
#: of the raw answers of one review, the last ones, at most
_MOST_RAW = 3
_LIKE = " OR ".join(
    f"lower(reviews.{column}) LIKE '%' || lower(:asked_search) || '%' ESCAPE '/'"
    for column in ("job_id", "detail", "note")
)


def conditions(which: Filter) -> dict[str, dict[str, Any]]:
    """A filter as conditions on the table `reviews`, each with the values that it names."""
    texts = {
        "status": which.status,
        "reason": which.reason,
        "group_name": which.group,
        "model": which.model,
        "run_id": which.run_id,
    }
    if any("\0" in value for value in (which.search, *texts.values()) if value):
        # no database text holds a NUL, and PostgreSQL refuses to look for one
        return {"1 = 0": {}}
    asked: dict[str, dict[str, Any]] = {
        f"reviews.{column} = :asked_{column}": {f"asked_{column}": value}
        for column, value in texts.items()
        if value is not None
    }
    if which.over_usd is not None:
        asked["reviews.worst_case_nano_usd > :asked_over"] = {"asked_over": to_nano(which.over_usd)}
    if which.search:
        asked[f"({_LIKE})"] = {"asked_search": _literally(which.search)}
    return asked


def _literally(search: str) -> str:
    """A text to look for in which no character stands for others."""
    for special in "/%_":
        search = search.replace(special, f"/{special}")
    return search


def _where(which: Filter) -> tuple[str, dict[str, Any]]:
    asked = conditions(which)
    values = {name: value for named in asked.values() for name, value in named.items()}
    return " AND ".join(["1 = 1", *asked]), values


def listed_by(ask: Asked, which: Filter, *, limit: int, offset: int, order: Order) -> list[Review]:
    """Reviews, without their payloads: at most `limit`, without the first `offset`."""
    where, values = _where(which)
    sql = f"{_LISTED} WHERE {where} ORDER BY {_ORDERS[order]} LIMIT :most OFFSET :passed"
    return read_lines(Review, ask(sql, {**values, "most": limit, "passed": offset}))


def totals_by(ask: Asked, which: Filter) -> Totals:
    """How many reviews a filter means, and what they come to."""
    where, values = _where(which)
    [row] = ask(f"{_TOTALS} WHERE {where}", values)
    count, worst_case, tokens, unpriced, changes = (int(value) for value in row)
    return Totals(count, NanoUsd(worst_case), tokens, unpriced, changes)


def is_an_id(number: int) -> bool:
    """Whether a review can have this id."""
    return 0 < number <= _MAX_ID


def one_by(ask: Asked, review_id: int) -> ReviewDetail | None:
    """One review with its payloads, or None."""
    if not is_an_id(review_id):
        return None
    found = read_lines(ReviewDetail, ask(_ONE, {"review_id": review_id}))
    return found[0] if found else None


def events_by(ask: Asked, review_id: int) -> list[ReviewEvent]:
    """What happened to a review, the first first."""
    if not is_an_id(review_id):
        return []
    return read_lines(ReviewEvent, ask(_EVENTS, {"review_id": review_id}))


def raw_answers_by(ask: Asked, review_id: int) -> list[RawAnswer]:
    """What came for the attempts of unknown outcome at a review's job and could not be read, the newest first."""
    if not is_an_id(review_id):
        return []
    return read_lines(RawAnswer, ask(_RAW_ANSWERS, {"review_id": review_id, "most": _MOST_RAW}))


def raw_answer_of(ask: Asked, attempt_id: str) -> RawAnswer | None:
    """What came for one attempt of unknown outcome and could not be read; None: nothing, or there is no such attempt."""
    found = read_lines(RawAnswer, ask(_RAW_ANSWER_OF, {"attempt": attempt_id}))
    return found[0] if found else None
