"""Check models: whether they may be called in a run, as the provider, the prices and the mode say."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from rules.models import Models, nearing_its_end
from schemas.errors import BadInput, RunFailed
from schemas.failures import CallFailed
from schemas.model_facts import ModelFacts
from schemas.policy import Policy
from services.gateway import Gateway

log = logging.getLogger("weighbridge")


async def checked_models(
    gateway: Gateway, policy: Policy, listed: Mapping[str, ModelFacts] | None = None
) -> Models:
    """The models that the provider lists, those that the policy names checked.

    Args:
        gateway: where they are looked up.
        policy: whose routes are checked, and the model that it pins jobs to.
        listed: what the provider lists, if it was asked already.

    Raises:
        BadInput: a model cannot be used. Nothing was sent.
        RunFailed: the provider could not be asked.
    """
    if listed is None:
        listed = await gateway.models()
    models = Models(policy, listed.values())
    named = [(f"sends route {route.name!r} to", route.model) for route in policy.routes]
    if policy.jobs.model is not None:
        named.append(("pins jobs to", policy.jobs.model))
    for what, model in named:
        try:
            why = await why_not_callable(gateway, models, model)
        except CallFailed as error:
            raise RunFailed(
                f"The model {model} could not be looked up: {error}. Nothing was sent."
            ) from error
        if why:
            raise BadInput(
                f"The policy {policy.name!r} {what} {model}, which cannot be used: {why}. Name another model; nothing "
                "was sent."
            )
    return models


async def why_not_callable(gateway: Gateway, models: Models, model: str) -> str | None:
    """Why a model cannot be called in a run, or None when it can; the provider is asked about one it did not list.

    Raises:
        CallFailed: the provider could not be asked.
    """
    if models.is_judged(model):
        return models.why_not(model, None, datetime.now(UTC))
    facts = models.listed.get(model) or await gateway.model(model)
    now = datetime.now(UTC)
    why = models.why_not(model, facts, now)
    if why is None and facts is not None and (ending := nearing_its_end(facts, now)):
        log.warning("%s %s; choose its successor in the policy.", model, ending)
    return why
