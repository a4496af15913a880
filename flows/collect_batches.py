"""Collect: what interrupted runs left with the provider is settled and published, without a new run."""

from prefect import State, flow, get_run_logger
from prefect.states import Completed, Failed

from flows.final_state import NOWHERE, unless_cancelled
from flows.shown_form import shown_form
from rules.collection_text import collection_text
from schemas.batch import Collection
from schemas.errors import WeighbridgeError
from schemas.forms.flow_forms import CollectForm
from schemas.ledger_place import ledger_url_of
from schemas.policy_sections import RateLimits
from services.flow_process import prepare_flow_process
from services.gateway import open_gateway
from services.ledger import open_ledger
from services.ledger.left_behind import is_something_left
from tasks.collect import collect


@shown_form(CollectForm)
@flow(name="collect-batches", persist_result=False, result_storage=NOWHERE, validate_parameters=False)
async def collect_batches(ledger: str | None = None, base_url: str | None = None) -> State[Collection]:
    """Look at every batch that an interrupted run left behind; settle those that have ended, and finish their runs.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it, unless nothing is left.
    """
    given = dict(locals())
    try:
        given = CollectForm.checked(given)
        collection = await one_collection(ledger_url_of(given["ledger"]), given["base_url"])
    except WeighbridgeError as error:
        return await unless_cancelled(Failed(message=str(error), data=error))
    message = collection_text(collection)
    get_run_logger().info(message)
    return await unless_cancelled(Completed(message=message, data=collection))


async def one_collection(ledger_url: str, base_url: str | None) -> Collection:
    """The collection itself; where nothing is left to collect, nobody is asked, and no key is needed."""
    prepare_flow_process()
    opened = open_ledger(ledger_url)
    try:
        if not is_something_left(opened):
            return Collection(nothing_left=True)
        async with open_gateway(RateLimits(), base_url, opened) as gateway:
            await gateway.models()
            return await collect(opened, gateway)
    finally:
        opened.close()
