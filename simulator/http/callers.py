"""Who calls: the id of an API key, and the workspace that the key belongs to.

Batches, files and the prompt cache of a workspace are there for its own keys alone. Every answer names the workspace in
`anthropic-workspace-id`; that it does so for the default workspace too is an assumption. Bills and reports name the
default workspace with null.

Source: SDK 2.12.0, `workspace_id` of errors; Anthropic docs, "Workspaces", "Batch processing" (2026-10-08), "Prompt
caching" (2026-08), "Get Messages Usage Report".
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.billing.prompt_cache import PromptCache
from simulator.files.stored_files import StoredFiles

WORKSPACE_HEADER = "anthropic-workspace-id"

#: id of the workspace of every key that the plan gives no other
DEFAULT_WORKSPACE = "wrkspc_sim_default"

#: callers that are remembered: enough for any test, and a bound for keys made up one after the other
MAX_REMEMBERED = 1_024


@dataclass(slots=True, eq=False)
class Workspace:
    """What belongs to the keys of one workspace.

    Attributes:
        id: its id.
        cache: the prefixes of its requests.
        files: what was uploaded to it.
    """

    id: str
    cache: PromptCache = field(default_factory=PromptCache)
    files: StoredFiles = field(default_factory=StoredFiles)

    @property
    def billed_as(self) -> str | None:
        """Its id in bills and reports: None for the default workspace."""
        return None if self.id == DEFAULT_WORKSPACE else self.id


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of an API key.

    Attributes:
        api_key_id: id of the key, from which the key cannot be found.
        workspace: what the key belongs to.
    """

    api_key_id: str
    workspace: Workspace

    @property
    def payer(self) -> tuple[str, str | None]:
        """(id of the API key, id of the workspace; None for the default one), as bills name them."""
        return self.api_key_id, self.workspace.billed_as


class Callers:
    """The callers of a run, by their keys.

    Args:
        workspace_ids: id of the workspace by API key; all other keys belong to the default workspace.
    """

    def __init__(self, workspace_ids: Mapping[str, str]) -> None:
        self._workspace_ids = workspace_ids
        names = {DEFAULT_WORKSPACE, *workspace_ids.values()}
        self._workspaces = {name: Workspace(name) for name in names}
        self._known: dict[str, Caller] = {}

    def of(self, key: str) -> Caller:
        """The caller with an API key."""
        known = self._known.get(key)
        if known is None:
            name = self._workspace_ids.get(key, DEFAULT_WORKSPACE)
            key_id = f"apikey_sim_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            known = Caller(key_id, self._workspaces[name])
            if len(self._known) == MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known
