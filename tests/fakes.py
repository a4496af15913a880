"""Gateways that are not there: what they answer follows from what they are asked, and they keep what went by."""

import asyncio

import orjson

from schemas.failures import (
    AccessDenied,
    EndpointUnusable,
    MayBeBilled,
    Refused,
    SpendLimitReached,
    Transient,
)
from schemas.model_facts import ModelFacts
from schemas.report import CallFigures
from schemas.usage import Answer
from services.gateway import Reply

MODELS = {
    name: ModelFacts(name, lifecycle, None, 200_000, 64_000)
    for name, lifecycle in {
        "claude-haiku-5-5": "active",
        "claude-sonnet-5-5": "active",
        "claude-opus-5-5": "active",
        "claude-opus-4-1-20250805": "retired",
        "claude-of-no-price": "active",
    }.items()
}
FAILURES = {
    "passing": lambda: Transient("HTTP 529 overloaded_error"),
    "refused": lambda: Refused("HTTP 400 invalid_request_error", explanation="no"),
    "broken": lambda: EndpointUnusable("HTTP 308: the address redirects elsewhere"),
    "maybe": lambda: MayBeBilled("HTTP 504 timeout_error"),
    "spend": lambda: SpendLimitReached("HTTP 429 rate_limit_error"),
    "denied": lambda: AccessDenied("HTTP 401 authentication_error"),
}


class FakeGateway:
    """Answers from what it is asked alone, and fails where a payload's text says so: "count:passing" and so on."""

    endpoint = "http://fake"
    simulated = True
    workspace = None
    clock_skew = None

    def __init__(self):
        self.tally = CallFigures()
        self.counted: list[dict] = []
        self.sent: list[dict] = []
        self.answered: list[str] = []

    def counting_in(self, tally):
        self.tally = tally
        return self

    async def models(self):
        return MODELS

    async def model(self, name):
        return MODELS.get(name)

    def _fail(self, call, body):
        text = orjson.dumps(body["messages"]).decode()
        for name, failure in FAILURES.items():
            if f"{call}:{name}" in text:
                raise failure()

    async def count(self, body, *, leaving=lambda: None):
        await asyncio.sleep(0)
        leaving()
        self.counted.append(body)
        self.tally.count += 1
        self._fail("count", body)
        return tokens_of(body)

    def usage(self, body):
        return {"input_tokens": tokens_of(body), "output_tokens": min(3, body["max_tokens"])}

    async def send(self, body, *, leaving, weight=None, came_back=None):
        await asyncio.sleep(0)
        await leaving()
        self.sent.append(body)
        self.tally.message += 1
        self._fail("send", body)
        text = orjson.dumps(
            {
                "id": "msg",
                "type": "message",
                "model": body["model"],
                "content": [{"type": "text", "text": "answer"}],
                "stop_reason": "end_turn",
                "usage": self.usage(body),
            }
        )
        self.answered.append(identity(body))
        return Reply(Answer.model_validate_json(text), text.decode(), "req", 1)


def tokens_of(body):
    return len(orjson.dumps([body["messages"], body.get("tools")]))


def identity(body):
    return orjson.dumps({k: v for k, v in body.items() if k != "model"}, option=orjson.OPT_SORT_KEYS).decode()


class Listing:
    """A gateway that serves one model besides the policy's others."""

    def __init__(self, facts):
        others = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
        self._listed = {name: ModelFacts(name, "active") for name in others} | {facts.model: facts}

    def counting_in(self, tally):
        return self

    async def models(self):
        return self._listed

    async def model(self, name):
        raise AssertionError(f"{name} is listed and need not be looked up")
