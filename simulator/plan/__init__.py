"""The plan of a simulator run: how slow it is, how many requests it takes a minute, and what goes wrong when.

A plan is a TOML file:

    seed = 7                      # decides every probability and every jitter

    [latency]                     # seconds before an answer
    count_seconds = 0.02
    message_seconds = 0.5
    jitter = 0.2                  # each latency is within this fraction of its value

    [limits]                      # requests per minute, enforced per second
    messages_per_minute = 4_000
    count_per_minute = 8_000
    batches_per_minute = 4_000
    queued_batch_requests = 500_000

    [messages]                    # what becomes of accepted messages; see `MessagePlan`
    refusal_probability = 0.05
    refusal_categories = ["bio", "none"]
    refusal_before_output = 0.5

    [batches]                     # what becomes of Message Batches; see `BatchPlan`
    processing_seconds = 2
    errored_probability = 0.01

    [[faults]]
    endpoint = "messages"         # see `EndpointName`
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

A fault counts the requests it is aimed at; it strikes when all of `probability`, `first_n` and `every_nth`
that it states agree. Faults are asked in the order of the file and the first that strikes is the only
one; those after it do not count that request. Only requests that would otherwise be accepted are asked
about.
"""

from simulator.plan.plan_file import Plan, PlanError, read_plan
from simulator.plan.plan_sections import BatchPlan, Latency, Limits, MessagePlan
from simulator.plan.planned_faults import EndpointName, Fault

__all__ = [
    "BatchPlan", "EndpointName", "Fault", "Latency", "Limits", "MessagePlan", "Plan", "PlanError", "read_plan",
]  # fmt: skip
