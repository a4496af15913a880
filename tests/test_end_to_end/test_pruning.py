"""The real `prune-history` between real nights: nothing is paid twice, and nothing paid is forgotten."""

import sqlite3

import pytest
import typer
from typer.testing import CliRunner

from cli import prune_history
from schemas.errors import BadInput

pytestmark = pytest.mark.prefect

_MOMENTS = {
    "runs": ("started_at", "ended_at"),
    "attempts": ("opened_at", "sent_at", "ended_at"),
    "counts": ("counted_at",),
    "reviews": ("created_at",),
}


def put_back(yard, days):
    """As if all that is on record had happened so many days earlier."""
    with sqlite3.connect(yard.ledger.removeprefix("sqlite:///")) as connection:
        for table, columns in _MOMENTS.items():
            moved = ", ".join(f"{name} = datetime({name}, '-{days} days')" for name in columns)
            connection.execute(f"UPDATE {table} SET {moved}")
    connection.close()


def paid(yard):
    return yard.one("SELECT coalesce(sum(actual_nano_usd), 0) FROM attempts") + yard.one(
        "SELECT coalesce(sum(actual_nano_usd), 0) FROM history"
    )


def kept(yard):
    """How many pending reviews have their payload."""
    return yard.one(
        "SELECT count(payload) FROM reviews JOIN review_payloads ON review_id = reviews.id WHERE status = 'pending'"
    )


def test_a_pruned_ledger_goes_through_another_night_and_pays_for_nothing(yard):
    rows = [{"job_id": f"job-{n}", "prompt": f"hello {n} [[output_tokens=7]]"} for n in range(6)]
    rows.append({"job_id": "heavy", "prompt": "x" * 8000})
    jobs = yard.jobs(rows)
    with yard.simulator() as simulator:
        first = yard.run(jobs, "--max-input-tokens", 500)
        assert (first["jobs"]["succeeded"], first["jobs"]["review"]) == (6, 1)
        yard.assert_agreement(first, simulator.billed())
        cost = paid(yard)
        assert cost > 0
        assert not any(yard.weighbridge("prune-history", "--json").json["rows"].values())
        put_back(yard, 100)

        planned = yard.weighbridge("prune-history", "--dry-run", "--json").json
        assert (planned["dry_run"], planned["rows"]["responses"], planned["rows"]["jobs"]) == (True, 6, 7)
        assert yard.one("SELECT count(*) FROM responses") == 6
        done = yard.weighbridge("prune-history", "--vacuum", "--json").json
        assert done["rows"] == planned["rows"]
        assert 0 < done["bytes_after"] <= done["bytes_before"]
        assert yard.one("SELECT count(*) FROM responses") == 0
        assert kept(yard) == 1
        assert yard.weighbridge("report", first["run_id"], "--json").json == first

        _, sent = yard.called()
        second = yard.run(jobs, "--max-input-tokens", 500)
        assert yard.called()[1] == sent
        assert (second["jobs"], second["from_earlier_runs"]) == (first["jobs"], 6)
        assert paid(yard) == cost
        results = yard.results(second)
        assert [row["job_id"] for row in results] == [f"job-{n}" for n in range(6)]
        assert {(row["text"], row["response"], row["output_tokens"]) for row in results} == {(None, None, 7)}

        put_back(yard, 100)
        table = yard.weighbridge("prune-history", "--older-than", 150, "--attempts-older-than", 150)
        assert (table.code, table.err) == (0, "")
        assert "attempts rolled up" in table.out
        assert yard.one("SELECT count(*) FROM attempts") == 0
        assert yard.one("SELECT sum(jobs) FROM history") == 6
        assert paid(yard) == cost
        third = yard.run(jobs, "--max-input-tokens", 500)
        assert third["jobs"] == first["jobs"]
        assert yard.called()[1] == sent + 6
        assert paid(yard) == 2 * cost


def test_limits_that_make_no_sense_are_refused(yard):
    end = yard.weighbridge("prune-history", "--older-than", 30, "--attempts-older-than", 29)
    assert end.code == 2, end.told()
    assert "at least as long as its answer" in end.sentence


@pytest.mark.parametrize("option", ["--older-than", "--attempts-older-than"])
@pytest.mark.parametrize("days", ["0", "-1", "1.5", "a week", "1000000", ""])
def test_days_are_whole_and_at_least_one(tmp_path, option, days):
    app = typer.Typer()
    app.command()(prune_history.prune_history)
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    refused = CliRunner().invoke(app, [option, days, "--ledger", ledger])
    assert refused.exit_code == 2
    assert option in refused.output
    assert not (tmp_path / "ledger.db").exists()


def test_a_dry_run_does_not_compact(tmp_path):
    with pytest.raises(BadInput, match="leave one of them out"):
        prune_history.prune_history(dry_run=True, vacuum=True, ledger=f"sqlite:///{tmp_path}/ledger.db")
    assert not (tmp_path / "ledger.db").exists()
