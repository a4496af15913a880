"""Commands that are imported when they are called: Prefect, the SDK and the web server take seconds to import."""

import gc
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from typer import Typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class LazyCommand(TyperCommand):
    """A command, or a group of commands, that stands in for one whose module is not imported yet.

    Args:
        name: what a person types.
        source: "module:name" of the command's function, or of a `TyperGroup`.
        summary: its line in the overview: the first paragraph of the function's docstring, or the group's help.
        hidden: leave it out of the overview, as an old name of a command.
        runs_flow: it needs a Prefect server, which is started while the command is imported.
    """

    def __init__(
        self, name: str, source: str, summary: str, *, hidden: bool = False, runs_flow: bool = False
    ) -> None:
        super().__init__(name, help=summary, hidden=hidden)
        self._source = source
        self._runs_flow = runs_flow

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, which is what the caller then invokes."""
        if self._runs_flow and "--help" not in args and not extra.get("resilient_parsing"):
            from services.early_server import start_early, trust_nobody_here  # noqa: PLC0415 - others do without

            start_early(os.environ)
            trust_nobody_here(os.environ)
            if "--simulate" in args:
                from cli.early_simulator import start_early_simulator  # noqa: PLC0415 - most do without

                start_early_simulator()
        return self.imported().make_context(info_name, args, parent=parent, **extra)

    def imported(self) -> TyperCommand | TyperGroup:
        """The real command."""
        module, _, attribute = self._source.partition(":")
        found = getattr(_imported_whole(module), attribute)
        if isinstance(found, TyperGroup):
            return found
        alone = Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(found)
        return cast("TyperCommand", get_command(alone))


def _imported_whole(name: str) -> ModuleType:
    """The module, imported without looking for garbage meanwhile: what is imported stays, and is never looked through."""
    if name in sys.modules or not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
