"""Errors that concern the account and not the request, of calls and of requests inside of batches."""

import anthropic
import pytest

from simulator.faults.fault_strikes import CREDIT_BALANCE
from tests.test_simulator.calls import billed, ended, params, results, sdk, serving

TYPES = {401: "authentication_error", 402: "billing_error", 403: "permission_error"}


def plan(place):
    return "\n".join(
        ["[batches]\nprocessing_seconds = 0.05\n"]
        + [
            f'[[faults]]\nendpoint = "{place}"\nkind = "status"\nstatus = {status}\nmatch = "<{status}>"\n'
            f'message = "said of {status}"\n'
            for status in TYPES
        ]
        + [
            f'[[faults]]\nendpoint = "{place}"\nkind = "{kind}"\nmatch = "<{kind}>"\n'
            for kind in ("credit_balance", "spend_cap")
        ]
    )


@pytest.mark.parametrize("place", ["messages", "count_tokens", "batches_create"])
def test_a_call_fails_with_the_account_s_error_and_is_not_billed(tmp_path_factory, place):
    with serving(tmp_path_factory, plan(place)) as simulator, sdk(simulator) as client:

        def sent(text):
            body = params(text)
            if place == "messages":
                client.messages.create(**body)
            elif place == "count_tokens":
                client.messages.count_tokens(model=body["model"], messages=body["messages"])
            else:
                client.messages.batches.create(requests=[{"custom_id": "a", "params": body}])

        for status, kind in TYPES.items():
            with pytest.raises(anthropic.APIStatusError) as error:
                sent(f"<{status}>")
            found = error.value
            assert (found.status_code, found.type, found.api_message) == (status, kind, f"said of {status}")
        with pytest.raises(anthropic.BadRequestError) as error:
            sent("<credit_balance>")
        assert (error.value.type, error.value.api_message) == ("invalid_request_error", CREDIT_BALANCE)
        assert CREDIT_BALANCE.startswith("Your credit balance is too low to access the Anthropic API. ")
        with pytest.raises(anthropic.EnforcedSpendLimitReachedError):
            sent("<spend_cap>")
        assert (simulator.billed(), simulator.stats()["batches"]) == ([], 0)
        assert [line["taken"] for line in simulator.faults()] == [False] * 5


def test_requests_inside_of_a_batch_end_with_the_account_s_error_and_are_not_billed(tmp_path_factory):
    with serving(tmp_path_factory, plan("batch_items")) as simulator, sdk(simulator) as client:
        names = [*map(str, TYPES), "credit_balance", "spend_cap", "good"]
        requests = [{"custom_id": name, "params": params(f"<{name}>")} for name in names]
        batch = ended(client, client.messages.batches.create(requests=requests))
        assert (batch.request_counts.errored, batch.request_counts.succeeded) == (5, 1)
        found = results(client, batch)
        for status, kind in TYPES.items():
            error = found[str(status)].error.error
            assert (error.type, error.message) == (kind, f"said of {status}")
        error = found["credit_balance"].error.error
        assert (error.type, error.message) == ("invalid_request_error", CREDIT_BALANCE)
        assert found["spend_cap"].error.error.type == "rate_limit_error"
        assert [line["custom_id"] for line in billed(simulator, batch)] == ["good"]
        struck = {line["custom_id"]: (line["taken"], line["billed"]) for line in simulator.faults()}
        assert struck == dict.fromkeys(names[:-1], (False, False))


def test_credit_that_ends_lets_the_first_calls_pass_and_no_later_one(tmp_path_factory):
    text = '[[faults]]\nendpoint = "messages"\nkind = "credit_balance"\nafter_n = 3\n'
    with serving(tmp_path_factory, text) as simulator, sdk(simulator) as client:
        for _ in range(3):
            client.messages.create(**params())
        for _ in range(4):
            with pytest.raises(anthropic.BadRequestError):
                client.messages.create(**params())
        assert len(simulator.billed()) == 3
