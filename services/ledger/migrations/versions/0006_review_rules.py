"""The rules of a review, in the database itself, so that a reviewer with only a SQL shell is safe too.

One set of rules and readings, written once, makes the triggers of both databases. SQLite's triggers cannot change the
row that is being written, so what is to be filled in is written after it, by a second update that the first one's
trigger makes; a statement that fills everything in itself spares that.
"""

# ruff: noqa: ISC004, S608 - statements are put together from our own rules

from alembic import op

revision = "0006"
down_revision = "0005"

#: what SQLite says as text, as `schemas.table.UtcDateTime` writes it
_SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
_SQLITE_IN_14_DAYS = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+14 days')"

# spelt out: in a trigger, SQLite builds a temporary table for each IN of more than two texts, for every row
_PASSES = "(NEW.status = 'approved' OR NEW.status = 'edited')"
_PASSED = "(OLD.status = 'approved' OR OLD.status = 'edited')"
_DECIDES = f"({_PASSES} OR NEW.status = 'rejected')"
_DECIDED = f"({_PASSED} OR OLD.status = 'rejected')"

#: when a change is refused, and the sentence that says why; the first that is true is said
_REFUSED = (
    (
        f"{_DECIDES} AND trim(coalesce(NEW.decided_by, '')) = ''",
        "A decision needs the name of who decides: set decided_by in the same statement.",
    ),
    (
        "NEW.status = 'claimed' AND trim(coalesce(NEW.claimed_by, '')) = ''",
        "A claim needs the name of who claims: set claimed_by in the same statement.",
    ),
    (
        f"{_DECIDED} AND {_DECIDES} AND NEW.decided_by IS DISTINCT FROM OLD.decided_by",
        "This review is decided already, by somebody else; to open it again, set status = 'pending' first.",
    ),
    (
        f"OLD.status = 'claimed' AND {_DECIDES} AND NEW.decided_by IS DISTINCT FROM OLD.claimed_by",
        "This review is claimed by somebody else; only who claimed it decides. To take it over, set claimed_by first.",
    ),
    (
        f"({_PASSED} AND NEW.status IN ('claimed', 'edited') AND NEW.status <> OLD.status) "
        "OR (OLD.status = 'rejected' AND NEW.status NOT IN ('rejected', 'pending'))",
        "This review is decided already; to open it again, set status = 'pending' first.",
    ),
    (
        "OLD.status = 'sent' AND NEW.status NOT IN ('sent', 'pending')",
        "This job was sent; its review can only be opened again, with status = 'pending'.",
    ),
    (
        "OLD.status = 'expired' AND NEW.status IN ('claimed', 'sent')",
        "This approval has expired; decide anew, or set status = 'pending' first.",
    ),
    (
        f"{_PASSES} AND NEW.worst_case_nano_usd IS NULL",
        "This review has no worst case (see its reason and would_pass): what nobody can price is not sent.",
    ),
    (
        f"NOT ({_DECIDES}) AND NEW.status = OLD.status AND ("
        "(NEW.decided_by IS NOT NULL AND NEW.decided_by IS DISTINCT FROM OLD.decided_by) "
        "OR (NEW.ceiling_nano_usd IS NOT NULL AND NEW.ceiling_nano_usd IS DISTINCT FROM OLD.ceiling_nano_usd) "
        "OR (NEW.ceiling_tokens IS NOT NULL AND NEW.ceiling_tokens IS DISTINCT FROM OLD.ceiling_tokens))",
        "A name and a ceiling belong to a decision: set status in the same statement.",
    ),
    (
        f"NEW.edited_fingerprint IS DISTINCT FROM OLD.edited_fingerprint AND {_PASSES} "
        f"AND (NEW.status = 'approved' OR {_PASSED})",
        "An edited payload belongs to the decision 'edited': set status in the same statement.",
    ),
)

#: what is filled in, whatever the statement says of it
_FILLED = {
    "version": "OLD.version + 1",
    "claimed_by": "CASE WHEN NEW.status = 'pending' THEN NULL ELSE NEW.claimed_by END",
    "claimed_at": (
        "CASE WHEN NEW.status = 'pending' THEN NULL "
        "WHEN NEW.status = 'claimed' AND NEW.claimed_at IS NOT DISTINCT FROM OLD.claimed_at "
        "AND (OLD.status <> 'claimed' OR NEW.claimed_by IS DISTINCT FROM OLD.claimed_by) THEN {now} "
        "ELSE NEW.claimed_at END"
    ),
    "decided_by": "CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL ELSE NEW.decided_by END",
    "decided_at": (
        "CASE WHEN NEW.status IN ('pending', 'claimed') THEN NULL "
        f"WHEN {_DECIDES} AND NEW.decided_at IS NOT DISTINCT FROM OLD.decided_at THEN {{now}} "
        "ELSE NEW.decided_at END"
    ),
    "ceiling_nano_usd": (
        f"CASE WHEN {_PASSES} THEN coalesce(NEW.ceiling_nano_usd, NEW.worst_case_nano_usd) "
        "WHEN NEW.status = 'sent' THEN NEW.ceiling_nano_usd END"
    ),
    "ceiling_tokens": (
        f"CASE WHEN {_PASSES} THEN coalesce(NEW.ceiling_tokens, NEW.input_tokens) "
        "WHEN NEW.status = 'sent' THEN NEW.ceiling_tokens END"
    ),
    "expires_at": (
        f"CASE WHEN {_PASSES} AND (NEW.expires_at IS NULL OR (OLD.status = 'expired' "
        "AND NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at)) THEN {in_14_days} "
        f"WHEN {_PASSES} OR NEW.status IN ('sent', 'expired') THEN NEW.expires_at END"
    ),
}

#: a change of any of these is a change of the review; another run's parking of the same figures is none
_WATCHED = (
    "status", "version", "claimed_by", "decided_by", "note", "ceiling_tokens", "ceiling_nano_usd", "expires_at",
    "edited_fingerprint", "reason", "detail", "model", "method", "max_tokens", "input_tokens", "limit_tokens",
    "worst_case_nano_usd", "limit_nano_usd",
)  # fmt: skip

#: who made a change: the person it names, or the run that parked or sent the job
_BY = (
    "CASE WHEN NEW.status IN ('pending', 'claimed') AND NEW.run_id <> OLD.run_id THEN NEW.run_id "
    "WHEN NEW.status = 'claimed' THEN NEW.claimed_by "
    f"WHEN {_DECIDES} THEN NEW.decided_by "
    "WHEN NEW.status = 'sent' THEN coalesce(NEW.sent_run_id, NEW.run_id) "
    "WHEN NEW.status = 'pending' THEN coalesce(NEW.decided_by, NEW.claimed_by) END"
)
_NOTE = "CASE WHEN NEW.note IS DISTINCT FROM OLD.note THEN NEW.note END"
_EVENT = (
    "INSERT INTO review_events "
    "(review_id, at, changed_by, from_status, to_status, note, ceiling_tokens, ceiling_nano_usd) VALUES "
)

_REVIEWS_PENDING = """
CREATE VIEW reviews_pending AS
SELECT id, job_id, group_name, reason, detail, would_pass, model, input_tokens, limit_tokens, worst_case_usd,
       limit_usd, created_at AS waiting_since, run_id
FROM reviews WHERE status = 'pending'
"""
_SPEND_TODAY = """
CREATE VIEW spend_today AS
SELECT scope, period, CASE group_name WHEN '' THEN 'all' ELSE group_name END AS group_name,
       settled_nano_usd / 1000000000.0 AS settled_usd,
       held_nano_usd / 1000000000.0 AS held_usd,
       cap_nano_usd / 1000000000.0 AS cap_usd,
       (cap_nano_usd - settled_nano_usd - held_nano_usd) / 1000000000.0 AS left_usd
FROM budgets
WHERE (scope = 'day' AND period = ({today}))
   OR (scope = 'month' AND period = substr(({today}), 1, 7))
"""
_TODAY = "SELECT max(period) FROM budgets WHERE scope = 'day' AND period >= {yesterday}"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    _mend_what_breaks_the_rules(sqlite=sqlite)
    for statement in _sqlite_triggers() if sqlite else _postgresql_triggers():
        op.execute(statement)
    op.execute(_REVIEWS_PENDING)
    yesterday = (
        "date('now', '-1 day')"
        if sqlite
        else "to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD')"
    )
    op.execute(_SPEND_TODAY.format(today=_TODAY.format(yesterday=yesterday)))


def _mend_what_breaks_the_rules(*, sqlite: bool) -> None:
    """Approvals of an earlier version have no ceiling and no end, and nothing has a history."""
    in_14_days = _SQLITE_IN_14_DAYS if sqlite else "now() + interval '14 days'"
    op.execute(
        "UPDATE reviews SET status = 'pending', decided_by = NULL, decided_at = NULL "
        "WHERE status IN ('approved', 'edited') AND worst_case_nano_usd IS NULL"
    )
    op.execute(
        "UPDATE reviews SET ceiling_nano_usd = coalesce(ceiling_nano_usd, worst_case_nano_usd), "
        "ceiling_tokens = coalesce(ceiling_tokens, input_tokens), "
        f"expires_at = coalesce(expires_at, {in_14_days}) WHERE status IN ('approved', 'edited')"
    )
    op.execute(
        "INSERT INTO review_events (review_id, at, changed_by, to_status, note, ceiling_tokens, ceiling_nano_usd) "
        "SELECT id, coalesce(decided_at, created_at), coalesce(decided_by, run_id), status, note, "
        "ceiling_tokens, ceiling_nano_usd FROM reviews ORDER BY id"
    )


def _sqlite_triggers() -> list[str]:
    refusals = " ".join(f"WHEN {when} THEN RAISE(ABORT, {_quoted(why)})" for when, why in _REFUSED)
    fill = ", ".join(f"{column} = {reading}" for column, reading in _FILLED.items())
    unfilled = " OR ".join(
        f"NEW.{column} IS DISTINCT FROM ({reading})" for column, reading in _FILLED.items()
    )
    ceilings = f"{_FILLED['ceiling_tokens']}, {_FILLED['ceiling_nano_usd']}"
    return [
        _for_sqlite(statement)
        for statement in (
            f"CREATE TRIGGER reviews_first_event AFTER INSERT ON reviews BEGIN {_EVENT}"
            "(NEW.id, {now}, NEW.run_id, NULL, NEW.status, NULL, NULL, NULL); END",
            # one trigger: a second one would fire, and be slow, in the update that fills in
            f"CREATE TRIGGER reviews_rules AFTER UPDATE ON reviews WHEN {_changes()} BEGIN "
            f"SELECT CASE {refusals} END; "
            f"{_EVENT}(OLD.id, {{now}}, {_BY}, OLD.status, NEW.status, {_NOTE}, {ceilings}); "
            f"UPDATE reviews SET {fill} WHERE id = NEW.id AND ({unfilled}); END",
        )
    ]


def _for_sqlite(statement: str) -> str:
    # SQLite knew IS DISTINCT FROM only from 3.39 on, and a reviewer's own client may be older
    for theirs, ours in (
        ("IS NOT DISTINCT FROM", "IS"),
        ("IS DISTINCT FROM", "IS NOT"),
        ("{now}", _SQLITE_NOW),
        ("{in_14_days}", _SQLITE_IN_14_DAYS),
    ):
        statement = statement.replace(theirs, ours)
    return statement


def _postgresql_triggers() -> list[str]:
    refusals = "".join(
        f"IF {when} THEN RAISE EXCEPTION USING ERRCODE = 'check_violation', "
        f"MESSAGE = {_quoted(why)}, DETAIL = 'It is review ' || OLD.id || '.'; END IF; "
        for when, why in _REFUSED
    )
    fill = "".join(
        f"NEW.{column} = {reading}; " for column, reading in _FILLED.items() if column != "version"
    )
    rules = (
        f"CREATE FUNCTION reviews_rules() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE who text = {_BY}; BEGIN "
        f"{refusals}{fill}NEW.version = OLD.version + 1; "
        f"{_EVENT}(OLD.id, {{now}}, who, OLD.status, NEW.status, {_NOTE}, NEW.ceiling_tokens, NEW.ceiling_nano_usd); "
        "RETURN NEW; END $$"
    )
    first = (
        "CREATE FUNCTION reviews_first_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{_EVENT}(NEW.id, {{now}}, NEW.run_id, NULL, NEW.status, NULL, NULL, NULL); RETURN NULL; END $$"
    )
    statements = (
        rules,
        first,
        "CREATE TRIGGER reviews_first_event AFTER INSERT ON reviews "
        "FOR EACH ROW EXECUTE FUNCTION reviews_first_event()",
        f"CREATE TRIGGER reviews_rules BEFORE UPDATE ON reviews FOR EACH ROW WHEN ({_changes()}) "
        "EXECUTE FUNCTION reviews_rules()",
    )
    return [
        # a transaction that waited at a lock has its own idea of now
        statement.replace("{now}", "clock_timestamp()").replace(
            "{in_14_days}", "clock_timestamp() + interval '14 days'"
        )
        for statement in statements
    ]


def _changes() -> str:
    return " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in _WATCHED)


def _quoted(sentence: str) -> str:
    return "'" + sentence.replace("'", "''") + "'"
