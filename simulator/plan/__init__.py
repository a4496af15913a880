"""The plan of a simulator run: how slow it is, how many requests it takes a minute, and what goes wrong when.

A plan is a TOML file:

    seed = 7                      # decides every probability and every jitter
    clock_shift_seconds = -3_600  # the API's clock against the machine's: Date, created_at, expires_at, the log

    [latency]                     # seconds before an answer
    count_seconds = 0.02
    message_seconds = 0.5
    jitter = 0.2                  # each latency is within this fraction of its value

    [limits]                      # requests per minute, enforced per second
    messages_per_minute = 4_000
    count_per_minute = 8_000
    batches_per_minute = 4_000
    queued_batch_requests = 500_000

    [[limits.models]]             # besides that of Messages, shared by the models; each may be left out
    models = ["claude-opus-4-8", "claude-opus-4-7"]
    requests_per_minute = 1_000
    input_tokens_per_minute = 2_000_000
    output_tokens_per_minute = 400_000

    [messages]                    # what becomes of accepted messages; see `MessagePlan`
    refusal_probability = 0.05
    refusal_categories = ["bio", "none"]
    refusal_before_output = 0.5

    [batches]                     # what becomes of Message Batches; see `BatchPlan`
    processing_seconds = 2
    errored_probability = 0.01

    [cache]                       # what becomes of requests that the prompt cache could serve
    batch_hit_rate = 0.6          # 0.30 to 0.98; left out, all requests in batches read what there is

    [workspaces]                  # API key to workspace; other keys belong to the default one
    "sk-night" = "wrkspc_night"
    "sk-day" = "wrkspc_day"

    [[faults]]
    endpoint = "messages"         # see `EndpointName`; "batch_items" is the requests inside of batches
    kind = "status"
    status = 529
    probability = 0.05

    [[faults]]
    endpoint = "messages"
    kind = "cut_after"            # billed, and the connection is cut before the answer
    match = "order 4711"          # aims at requests whose bytes contain this text
    first_n = 1

    [[faults]]
    endpoint = "batches_results"
    kind = "cut_results"          # the connection is cut midway through the lines
    fraction = 0.3
    every_nth = 2

Kinds that strike before a request is taken, so that nothing is done or billed:

    status            the API's own error of this status, with `message` and `retry_after` if stated
    spend_cap         the 429 of a reached monthly spend cap, without retry-after
    credit_balance    the 400 of used-up prepaid credit
    page_before       a page of a middle box (`page`: html, json or empty), with `status` and no API error object
    cut_before        the connection is cut without an answer
    reset_kept_alive  a connection that has carried a request before is reset before this one is read;
                      counts the requests on such connections only, and `match` sees their path
    not_found_yet     the 404 of a batch for its first `seconds`; of results from its end on

Kinds that strike after what was asked for was done, and billed:

    hang              sleeps `seconds`, then answers
    slow              sends the body within `seconds`, piece by piece
    page_after        the page of a middle box in place of the answer, which is lost
    cut_after         the connection is cut in place of the answer
    cut_body          the connection is cut within the body, after `fraction` of it
    malformed_body    a whole answer of half a body
    usage_missing     an answer without its usage or its count
    wrong_count       a count of `tokens`, or of `factor` times the true one
    wrong_usage       usage of `factor` times the tokens, and the bill for it
    odd_shape         a `shape` that nobody expects, of an answer to Messages or of a line in a batch's results:
                      whole_floats, usage_huge (2**63), stop_reason_missing, bom, lone_surrogate,
                      line_separator (U+2028 in a text); of a line also result_text, unknown_type, and
                      error_text, which is of an item that erred and is not billed; a streamed answer has none
    cut_results, end_results_early, repeat_results
                      cut within a line, end cleanly after one, or send the first lines once more

A request inside of a batch that status, spend_cap or credit_balance strikes ends as errored. Every fault that
struck is on record in the fault log, with whether what was asked for was done and billed.

A fault counts the requests it is aimed at; it strikes when all of `probability`, `first_n`, `after_n` and
`every_nth` that it states agree. Faults are asked in the order of the file and the first that strikes is the only
one; those after it do not count that request. Only requests that would otherwise be accepted are asked
about.
"""

from simulator.plan.plan_file import Plan, PlanError, read_plan
from simulator.plan.plan_sections import BatchPlan, Latency, Limits, MessagePlan
from simulator.plan.planned_faults import EndpointName, Fault

__all__ = [
    "BatchPlan", "EndpointName", "Fault", "Latency", "Limits", "MessagePlan", "Plan", "PlanError", "read_plan",
]  # fmt: skip
