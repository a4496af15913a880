"""`weighbridge review edit`, counted by a simulator on this machine."""

import json
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from cli.review.edit_review import policy_of
from schemas.errors import BadInput
from schemas.review_tables import ReviewRow
from services.ledger import reviews
from simulator.process import running_simulator

POLICY = """
name = "edits"
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 10_000
[limits]
tries = 1
"""


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as running:
        yield running


@pytest.fixture
def edit(weighbridge, waiting, simulator, monkeypatch, tmp_path):
    """`review edit`, by ana, with a policy file and the simulator."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.base_url)
    (tmp_path / "policy.toml").write_text(POLICY)

    def call(*arguments):
        return weighbridge("review", "edit", *arguments, "--policy", "policy.toml", "--by", "ana")

    return call


@pytest.fixture
def all_rows(ledger):
    """Every review as it stands."""

    def read():
        with ledger.read() as connection:
            return connection.execute(select(ReviewRow.__table__).order_by(ReviewRow.id)).all()

    return read


def test_an_edit_is_counted_priced_and_on_record(edit, ledger, waiting):
    ended = edit(waiting[0], "--max-tokens", 7, "--system", "Be brief.", "--note", "shorter")
    assert (ended.code, ended.err) == (0, "")
    assert "before: claude-opus-5-5, 1,000 tokens, $1.00" in ended.out
    assert "after:  claude-haiku-5-5, " in ended.out
    assert "It is within its limits." in ended.out
    assert "1 review(s) edited. `weighbridge resubmit-approved` sends what is approved." in ended.out
    row = reviews.one_review(ledger, waiting[0])
    sent = json.loads(row.edited_payload)
    assert (sent["max_tokens"], sent["system"]) == (7, "Be brief.")
    assert (row.status, row.decided_by, row.note, row.max_tokens) == ("edited", "ana", "shorter", 7)


def test_the_json_has_both_weights_and_what_is_still_over_is_said(edit, ledger, waiting, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY + '[request]\nmax_cost_usd = "0.000001"\n')
    (tmp_path / "new.json").write_text(
        json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9})
    )
    told = edit(waiting[0], "--payload", "new.json", "--json").json
    assert (told["edited"], told["refused"], told["fits"]) == (1, [], False)
    assert told["before"] == {
        "model": "claude-opus-5-5",
        "input_tokens": 1_000,
        "worst_case_usd": "1.000000000",
    }
    assert 0 < told["after"]["input_tokens"] < 1_000
    assert told["would_pass"]
    shown = edit(waiting[1], "--max-tokens", 9)
    assert "It is still over its limits; your decision lets it pass." in shown.out


def test_what_somebody_else_claimed_is_refused_with_4(edit, ledger, waiting):
    reviews.claim(ledger, waiting[:1], "ben")
    ended = edit(waiting[0], "--max-tokens", 7, "--json")
    assert ended.code == 4
    assert ended.json["edited"] == 0
    assert "ben" in ended.json["refused"][0]["why"]
    assert f"Review {waiting[0]} was not changed" in edit(waiting[0], "--max-tokens", 7).err


def test_an_editor_changes_the_payload(edit, ledger, waiting, monkeypatch, tmp_path):
    script = tmp_path / "shorten.sh"
    script.write_text("""sed -i 's/hello/bye/' "$1"\n""")
    monkeypatch.setenv("EDITOR", f"sh {script}")
    assert edit(waiting[0]).code == 0
    assert "bye" in reviews.one_review(ledger, waiting[0]).edited_payload


@pytest.mark.parametrize(
    ("editor", "word"),
    [
        ("true", "left as it was; nothing was changed"),
        ("false", "left as it was"),
        ("/nowhere/vi", "cannot be started"),
        ("sh -c 'echo [1] > $0'", "must be a JSON object"),
        ("sh -c 'echo { > $0'", "not valid JSON"),
    ],
)
def test_an_editor_that_leaves_nothing_to_send_changes_nothing(
    edit, waiting, all_rows, monkeypatch, editor, word
):
    before = all_rows()
    monkeypatch.setenv("EDITOR", editor)
    ended = edit(waiting[0])
    assert ended.code == 2
    assert word in ended.sentence
    assert all_rows() == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([999, "--max-tokens", 5], "no review 999"),
        ([1], "no terminal to edit on"),
        ([1, "--keep-turns", 5], "1 turn(s)"),
        ([1, "--payload", "missing.json"], "missing.json cannot be read"),
        ([1, "--payload", "list.json"], "JSON object"),
        ([1, "--payload", "broken.json"], "not valid JSON"),
        ([1, "--payload", "wrong.json"], "messages"),
        ([1, "--payload", "twice.json"], "one name twice"),
        ([1, "--payload", "big.json", "--keep-turns", 1], "more than 64 bits"),
        ([1, "--payload", "fine.json"], "a double cannot carry"),
    ],
)
def test_wrong_input_is_a_sentence_without_the_payload_and_changes_nothing(
    edit, all_rows, tmp_path, arguments, word
):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{SECRET")
    (tmp_path / "wrong.json").write_text('{"messages": "SECRET", "max_tokens": 1}')
    more = '"messages": [{"role": "user", "content": "SECRET"}], "max_tokens": 1'
    (tmp_path / "twice.json").write_text("{" + more + ', "max_tokens": 2}')
    (tmp_path / "big.json").write_text("{" + more + f', "metadata": {{"user_id": {2**70}}}' + "}")
    (tmp_path / "fine.json").write_text("{" + more + ', "metadata": {"user_id": 0.12345678901234567891}}')
    before = all_rows()
    ended = edit(*arguments)
    assert ended.code == 2
    assert word in ended.sentence
    assert "SECRET" not in ended.out + ended.err
    assert all_rows() == before


@pytest.mark.parametrize("arguments", [["--max-tokens", "0"], ["--keep-turns", "0"], ["--max-tokens", "few"]])
def test_options_that_cannot_be_end_with_2(edit, waiting, arguments):
    assert edit(waiting[0], *arguments).code == 2


def test_a_run_that_is_not_on_record_needs_a_policy(ledger, tmp_path):
    review = SimpleNamespace(run_id="run-pruned")
    with pytest.raises(BadInput, match="name a policy with --policy"):
        policy_of(ledger, review, None)
    (tmp_path / "policy.toml").write_text(POLICY)
    assert policy_of(ledger, review, tmp_path / "policy.toml").name == "edits"


def test_the_endpoint_must_be_of_the_kind_of_the_reviews_run(edit, ledger, waiting, all_rows):
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET simulated = 0")
    before = all_rows()
    ended = edit(waiting[0], "--max-tokens", 5)
    assert ended.code == 2
    assert "holds real runs" in ended.sentence
    assert all_rows() == before


def test_an_api_that_is_away_ends_it_with_1_and_changes_nothing(edit, waiting, all_rows, silent_api):
    before = all_rows()
    ended = edit(waiting[0], "--max-tokens", 5)
    assert ended.code == 1
    assert "could not be listed" in ended.sentence
    assert all_rows() == before


def talk_of(turns):
    said = [
        {"role": role, "content": "word " * 100} for _ in range(turns - 1) for role in ("user", "assistant")
    ]
    return [*said, {"role": "user", "content": "and now?"}]


def test_prune_keeps_as_many_turns_as_the_limits_allow(edit, ledger, waiting, tmp_path):
    (tmp_path / "policy.toml").write_text(
        POLICY + "[request]\nmax_input_tokens = 700\n[prune]\nmin_turns = 1\n"
    )
    (tmp_path / "talk.json").write_text(json.dumps({"messages": talk_of(6), "max_tokens": 9}))
    ended = edit(waiting[0], "--payload", "talk.json", "--prune", "--json").json
    assert (ended["edited"], ended["fits"]) == (1, True)
    # a turn is two times 125 tokens and some: two whole ones and the last question fit, three do not
    assert 500 < ended["after"]["input_tokens"] <= 700
    kept = json.loads(reviews.one_review(ledger, waiting[0]).edited_payload)["messages"]
    assert kept == talk_of(3)


def test_prune_that_serves_nothing_says_so_and_changes_nothing(edit, all_rows, waiting, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY + "[request]\nmax_input_tokens = 100\n")
    (tmp_path / "talk.json").write_text(json.dumps({"messages": talk_of(6), "max_tokens": 9}))
    before = all_rows()
    for arguments, word in {
        ("--prune",): "nothing to prune",
        ("--payload", "talk.json", "--prune"): "newest 2 turn(s) stay",
    }.items():
        ended = edit(waiting[0], *arguments)
        assert ended.code == 2
        assert word in ended.sentence
    assert all_rows() == before
