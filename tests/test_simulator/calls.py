"""What the tests of the simulator share: a simulator with a plan, the SDK at its strictest, and batches."""

from datetime import UTC, datetime

from anthropic import Anthropic
from anthropic.types.messages import MessageBatchIndividualResponse

from simulator import running_simulator
from simulator.billing.cache_prefix import cut_prefixes
from simulator.billing.prompt_cache import PromptCache
from tests.processes import until


def serving(tmp_path_factory, text):
    plan = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan.write_text(text)
    return running_simulator(plan=plan)


def clock_at(moment):
    """The line of a plan by which the simulator's clock shows a moment when it starts."""
    return f"clock_shift_seconds = {(moment - datetime.now(UTC)).total_seconds()}\n"


def sdk(simulator):
    return Anthropic(
        api_key="any", base_url=simulator.base_url, max_retries=0, _strict_response_validation=True
    )


def params(text="Hello", **more):
    message = {"role": "user", "content": text}
    return {"model": "claude-haiku-5-5", "max_tokens": 90, "messages": [message], **more}


def cold_part(body, model):
    """What the cache is billed for if it holds nothing of a request yet."""
    return PromptCache().look_up(cut_prefixes(body, model), 0).part


def item(custom_id, **more):
    return {"custom_id": custom_id, "params": params(f"Hello {custom_id}", **more)}


def items(number, start="a"):
    return [item(f"{start}-{index}") for index in range(number)]


def ended(client, batch):
    """The batch, once it ended."""

    def found():
        seen = client.messages.batches.retrieve(batch.id)
        return seen if seen.processing_status == "ended" else None

    return until(found, "the end of the batch")


def results(client, batch):
    """The results by custom_id, each strictly validated."""
    lines = client.messages.batches.results(batch.id)
    strict = [MessageBatchIndividualResponse.model_validate(line.to_dict()) for line in lines]
    assert len({line.custom_id for line in strict}) == len(strict)
    return {line.custom_id: line.result for line in strict}


def billed(simulator, batch):
    return [line for line in simulator.billed() if line.get("batch_id") == batch.id]
