"""The blocks of commands of a page, run one after the other in a folder of its own, as they stand there."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import BIN, SECONDS

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n)?^```(?:sh|bash|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_QUOTE = re.compile(r"quote-\d{8}T\d{6}-[0-9a-f]{6}")

#: stands for the command: hands its arguments to the server that is warm, and ends as its process does. Rows that a run
#: rejects are what some blocks are to show
WRAPPER = """#!{python} -S
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({server!r})
asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
socket.send_fds(line, [json.dumps(asked).encode() + b"\\n"], [1, 2])
with line.makefile() as told:
    told.readline()
    code = int(told.readline())
sys.exit(0 if code == 4 and sys.argv[1] == "run" else abs(code))
"""


@dataclass(frozen=True)
class DocBlock:
    """A block of commands; `why` says why it is not run, and is None where it is."""

    text: str
    why: str | None


def blocks(page: str) -> list[DocBlock]:
    """The blocks of a page in their order."""
    return [DocBlock(found["text"], found["why"]) for found in _BLOCK.finditer(page)]


class DocFolder:
    """A folder in which the blocks of one page are run.

    Args:
        folder: with what the page takes to be there.
        server: the socket of the server that is warm.
        environment: of the commands.
        review: the id of a review in its ledger.
    """

    def __init__(self, folder: Path, server: Path, environment: dict[str, str], review: int) -> None:
        self._folder = folder
        self._review = review
        self._printed = ""
        for place in ("bin", ".venv/bin"):
            (folder / place).mkdir(parents=True)
            command = folder / place / "weighbridge"
            command.write_text(WRAPPER.format(python=sys.executable, server=str(server)))
            command.chmod(0o755)
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

    def _filled(self, text: str) -> str:
        """The text with ids that are there in the place of those of the page."""
        text = re.sub(r"\bshow JOB\b", "show job-0", text)
        text = re.sub(r"(review \w+) 17\b", rf"\g<1> {self._review}", text)
        text = text.replace("http://127.0.0.1:8787", self._environment["ANTHROPIC_BASE_URL"])
        quotes = _QUOTE.findall(self._printed)
        return _QUOTE.sub(quotes[-1], text) if quotes else text
