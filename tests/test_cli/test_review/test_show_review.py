"""`weighbridge review show`."""

import json

import pytest
from sqlalchemy import update

from cli.review.show_review import folded
from schemas.review_tables import ReviewPayloadRow, ReviewRow

RICH = {
    "system": [{"type": "text", "text": "Be brief."}],
    "tools": [{"name": "weigh", "input_schema": {}}, {"type": "web_search_20260101"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look\x1b[2J\nhere"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 4_000}},
                {"type": "document", "source": {"type": "url", "url": "http://x"}},
                "not a block",
            ],
        },
        {"role": "assistant", "content": [{"type": "tool_use", "name": "weigh", "input": {"of": "Maß"}}]},
        {"role": "user", "content": [{"type": "tool_result", "content": "7 kg"}, {"type": "tool_result"}, {"type": "odd"}]},
    ],
}  # fmt: skip


def test_it_shows_the_figures_next_to_their_limits_the_conversation_and_the_history(weighbridge, waiting):
    shown = weighbridge("review", "show", waiting[0])
    assert (shown.code, shown.err) == (0, "")
    for words in (
        "job_id: job-0",
        "tokens: 1,000 (limit none, no method)",
        "worst case: $1.00 (limit none)",
        "user hello [bold]you[/bold]",
        "new to pending",
    ):
        assert words in shown.out


def test_each_kind_of_block_is_shown_as_text_and_moves_no_cursor(weighbridge, ledger, waiting):
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=json.dumps(RICH)))
        connection.execute(
            update(ReviewRow).values(would_pass="raise it\nor lower it", worst_case_nano_usd=None)
        )
    out = weighbridge("review", "show", waiting[0]).out
    for words in (
        "system Be brief.",
        "tools weigh, web_search_20260101",
        "look?[2J",
        "[image png, 3 kB]",
        "[document url]",
        '[calls weigh {"of": "Maß"}]',
        "[result: 7 kg]",
        "[result: ]",
        "[odd]",
        "  - raise it",
        "  - or lower it",
        "worst case: not known",
    ):
        assert words in out, words
    assert "\x1b" not in out


def test_an_edited_or_a_pruned_payload_is_named_as_such(weighbridge, ledger, waiting):
    with ledger.write() as connection:
        edited = json.dumps({"messages": [{"role": "user", "content": "shorter"}]})
        connection.execute(
            update(ReviewPayloadRow)
            .where(ReviewPayloadRow.review_id == waiting[0])
            .values(edited_payload=edited)
        )
        connection.execute(
            update(ReviewPayloadRow).where(ReviewPayloadRow.review_id == waiting[1]).values(payload=None)
        )
    out = weighbridge("review", "show", waiting[0]).out
    assert "edited conversation:" in out
    assert "shorter" in out
    assert "the payload was pruned" in weighbridge("review", "show", waiting[1]).out


def long_conversation(ledger, review, turns):
    """Give a review a conversation of this many turns, each of two lines."""
    messages = [
        {"role": ("user", "assistant")[n % 2], "content": f"turn {n} begins\n[b]and {n} ends[/b]"}
        for n in range(turns)
    ]
    with ledger.write() as connection:
        connection.execute(
            update(ReviewPayloadRow)
            .where(ReviewPayloadRow.review_id == review)
            .values(payload=json.dumps({"messages": messages}))
        )


def test_a_long_conversation_is_folded_to_its_beginning_and_its_end(weighbridge, ledger, waiting):
    long_conversation(ledger, waiting[0], 200)
    shown = weighbridge("review", "show", waiting[0]).out
    assert "... 368 more lines; --full shows all ..." in shown
    assert all(
        words in shown for words in ("user turn 0 begins", "[b]and 9 ends[/b]", "turn 194", "and 199 ends")
    )
    assert "turn 10 begins" not in shown
    assert "turn 193 begins" not in shown
    full = weighbridge("review", "show", waiting[0], "--full").out
    assert "more lines" not in full
    assert all(f"turn {n} begins" in full for n in range(200))


def test_one_line_too_long_for_the_terminal_is_folded_too_and_no_word_of_it_is_lost(
    weighbridge, ledger, waiting
):
    with ledger.write() as connection:
        text = json.dumps({"messages": [{"role": "user", "content": "one two  three " * 2_000}]})
        connection.execute(update(ReviewPayloadRow).values(payload=text))
    assert "more lines; --full shows all" in weighbridge("review", "show", waiting[0]).out
    full = weighbridge("review", "show", waiting[0], "--full").out
    assert full.replace("\n", "").count("one two  three ") >= 1_999


@pytest.mark.parametrize("count", [0, 1, 32, 33, 34, 1000])
def test_folding_keeps_the_ends_and_counts_the_rest(count):
    lines = [str(number) for number in range(count)]
    shown = folded(lines)
    if count <= 33:
        assert shown == lines
    else:
        assert (shown[:20], shown[-12:]) == (lines[:20], lines[-12:])
        assert f"{count - 32:,} more lines" in shown[20]


def test_the_json_has_the_payload_and_every_event(weighbridge, waiting):
    weighbridge("review", "claim", waiting[0], "--by", "ana")
    shown = weighbridge("review", "show", waiting[0], "--json").json
    assert json.loads(shown["payload"])["messages"]
    assert [event["to_status"] for event in shown["events"]] == ["pending", "claimed"]


def test_a_review_that_does_not_exist_is_bad_input(weighbridge, waiting):
    ended = weighbridge("review", "show", 999)
    assert ended.code == 2
    assert "There is no review 999" in ended.sentence


@pytest.mark.parametrize("review", ["first", "", "1.5"])
def test_an_id_is_a_whole_number(weighbridge, waiting, review):
    assert weighbridge("review", "show", review).code == 2
