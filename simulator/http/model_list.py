"""The Models API: what the catalogue knows, one model or one page of models at a time.

Retired models stay in the list, marked as such; a model whose end comes while the simulator runs is one of them from
then on. Source: Anthropic docs, "Models" (2026-10).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from simulator.billing.catalogue import ALL_EFFORTS, MODELS, Model, find_model
from simulator.checks.model_options import THINKING_TYPES
from simulator.http.api_errors import RefusedError
from simulator.http.paging import page_of

_YES = {"supported": True}
_NO = {"supported": False}


def one_model(model_id: str, now: datetime) -> dict[str, Any]:
    """A model by its id or alias.

    Args:
        model_id: the id or alias.
        now: the moment, which says its lifecycle.

    Returns:
        the model as a JSON object.

    Raises:
        RefusedError: 404 if there is no such model.
    """
    model = find_model(model_id)
    if model is None:
        raise RefusedError(404, "model: there is no such model")
    return _info(model, now)


def list_models(query: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """One page of models, newest first.

    Args:
        query: `limit` (1 to 1,000, 20 by default), `after_id`, `before_id`.
        now: the moment, which says their lifecycle.

    Returns:
        `{"data", "has_more", "first_id", "last_id"}`.

    Raises:
        RefusedError: 400 for a limit out of range or a cursor that is no model.
    """
    return page_of(MODELS, query, lambda model: model.id, partial(_info, now=now))


def _info(model: Model, now: datetime) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "line": model.line,
        "created_at": model.created_at,
        "lifecycle": model.lifecycle_at(now),
        "deprecated_at": model.deprecated_at,
        "retires_at": model.retires_at,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": _capabilities(model),
    }


def _capabilities(model: Model) -> dict[str, Any]:
    efforts = {effort: _YES if effort in model.efforts else _NO for effort in ALL_EFFORTS}
    thinking = {kind: _YES if kind in model.thinking else _NO for kind in THINKING_TYPES}
    return {
        "batch": _YES,
        "citations": _YES,
        "code_execution": _YES,
        "context_management": _NO,
        "effort": {"supported": bool(model.efforts), **efforts},
        "image_input": _YES,
        "pdf_input": _YES,
        "server_tools": {**_YES, "code_execution": _YES, "web_search": _YES},
        "structured_outputs": _YES,
        "thinking": {**_YES, "types": thinking},
    }
