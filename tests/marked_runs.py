"""Runs whose jobs begin alike, counted and routed, over a gateway that weighs whole requests."""

import orjson

from schemas.payload.payload import Payload
from services.ledger import jobs
from tests.fakes import FakeGateway
from tests.nights import a_run_on_record
from tests.strategies import job, job_update, request

MODEL = "claude-opus-5-5"
AUTO = {"mode": "auto"}
LONG = "a rule of the house " * 400


class Scale(FakeGateway):
    """Four bytes of the whole request are a token."""

    async def count(self, body, *, leaving=lambda: None):
        await super().count(body, leaving=leaving)
        return weight(body)

    def usage(self, body):
        return {"input_tokens": weight(body), "output_tokens": 3}


def weight(body):
    counted = {name: body[name] for name in ("messages", "system", "tools") if name in body}
    return len(orjson.dumps(counted)) // 4


async def a_run_of(ledger, folder, bodies, gateway=None, run_id="run-1", *, own=(), **changes):
    """A run whose jobs are counted and routed to one model, with caching.

    Args:
        ledger: where it is put on record.
        folder: where its results go.
        bodies: the requests of its jobs.
        gateway: None for a `Scale`.
        run_id: its id.
        own: what a job asks for itself, by its number.
        changes: sections of the policy.
    """
    run = await a_run_on_record(ledger, gateway or Scale(), folder, run_id, **{"cache": AUTO} | changes)
    payloads = [Payload.checked(body) for body in bodies]
    made = [job(row, payload=one, **dict(own).get(row, {})) for row, one in enumerate(payloads)]
    jobs.add(ledger, run_id, made, [])
    counted = [job_update(row, MODEL, weight(body), "counted") for row, body in enumerate(bodies)]
    jobs.record(ledger, run_id, counted)
    return run


def sharing(number, system=LONG, **more):
    """Requests with one system prompt."""
    return [request(f"question {row}", system=system, **more) for row in range(number)]


def is_marked(body):
    return b'"cache_control"' in orjson.dumps(body)
