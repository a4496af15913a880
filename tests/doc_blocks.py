"""The blocks of commands of a page, run one after the other in a folder of its own, as they stand there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes import BIN, ROOT, SECONDS, process, until

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n"
    r'|^<!-- until Ctrl-C(?P<each>, each line)?, ready at "(?P<ready>[^"\n]+)" -->\n)?'
    r"^```(?:sh|bash|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_QUOTE = re.compile(r"quote-\d{8}T\d{6}-[0-9a-f]{6}")

#: stands for the command: hands its arguments to the server that is warm, and ends as its process does. Rows that a run
#: rejects, and differences of a bill, are what some blocks are to show
WRAPPER = """#!{python} -S
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({server!r})
asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
socket.send_fds(line, [json.dumps(asked).encode() + b"\\n"], [1, 2])
with line.makefile() as told:
    told.readline()
    code = int(told.readline())
sys.exit(0 if code == 4 and sys.argv[1] in ("run", "check-bill") else abs(code))
"""


@dataclass(frozen=True)
class DocBlock:
    """A block of commands.

    Attributes:
        why: it is not run; None: it is.
        ready: what it prints once it serves, until it is interrupted; None: it ends by itself.
    """

    text: str
    why: str | None = None
    ready: str | None = None

    @property
    def leaves_a_server(self) -> bool:
        """Whether it puts something into the background, which a person ends by closing the terminal."""
        return " & " in self.text

    @property
    def ends(self) -> bool:
        """Whether it is run, and ends by itself."""
        return self.why is None and self.ready is None


def blocks(page: str) -> list[DocBlock]:
    """The blocks of a page in their order; where each line serves by itself, each line is one."""
    found = []
    for one in _BLOCK.finditer(page):
        texts = one["text"].splitlines(keepends=True) if one["each"] else [one["text"]]
        found += [DocBlock(text, one["why"], one["ready"]) for text in texts]
    return found


class DocFolder:
    """A folder in which the blocks of one page are run.

    Args:
        folder: with what the page takes to be there.
        server: the socket of the server that is warm.
        environment: of the commands.
        ids: what stands on a page, such as the id of a review, and what is there in its place.
    """

    def __init__(self, folder: Path, server: Path, environment: dict[str, str], ids: dict[str, str]) -> None:
        self._folder = folder
        self._ids = ids
        self._printed = ""
        for place in ("bin", ".venv/bin"):
            (folder / place).mkdir(parents=True)
            command = folder / place / "weighbridge"
            command.write_text(WRAPPER.format(python=sys.executable, server=str(server)))
            command.chmod(0o755)
        # a clone that is set up already
        for name in ("Makefile", "requirements.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        (folder / ".venv/.ready").touch()
        (folder / ".venv/bin/activate").write_text(f"PATH={BIN}:$PATH\n")
        self._environment = environment | {"PATH": f"{folder}/bin:{BIN}:{environment['PATH']}"}

    def run(self, block: DocBlock) -> tuple[int, str]:
        """The exit code of a block, and all that it printed; it ends at the first command that fails."""
        ended = subprocess.run(
            ["bash", "-e", "-c", self._filled(block.text)],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
            text=True,
        )
        self._printed += ended.stdout
        return ended.returncode, ended.stdout

    def serve(self, block: DocBlock) -> tuple[bool, int, str]:
        """Whether a block came to serve, its exit code after a Ctrl-C, and all that it printed."""
        log = self._folder / "served.log"
        # a process of its own gets the Ctrl-C, and one that is forked by another does not
        environment = self._environment | {"PATH": f"{BIN}:{self._environment['PATH']}"}
        with process(
            ["bash", "-e", "-c", self._filled(block.text)], environment, log, self._folder
        ) as serving:
            until(
                lambda: block.ready in log.read_text() or serving.poll() is not None,
                f"{block.ready}: {block.text}",
            )
            served = serving.poll() is None
            if served and block.leaves_a_server:
                # the worker would look for its server, which got the same Ctrl-C, for minutes
                os.killpg(serving.pid, signal.SIGKILL)
                return served, 0, log.read_text()
            with suppress(ProcessLookupError):
                os.killpg(serving.pid, signal.SIGINT)
            return served, serving.wait(SECONDS), log.read_text()

    def _filled(self, text: str) -> str:
        """The text with ids that are there in the place of those of the page."""
        text = re.sub(r"\bshow JOB\b", "show job-0", text)
        for on_page, here in self._ids.items():
            text = re.sub(rf"((?:review \w+|--attempt) ){on_page}\b", rf"\g<1>{here}", text)
        text = text.replace("http://127.0.0.1:8787", self._environment["ANTHROPIC_BASE_URL"])
        quotes = _QUOTE.findall(self._printed)
        return _QUOTE.sub(quotes[-1], text) if quotes else text
