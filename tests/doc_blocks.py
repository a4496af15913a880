"""The blocks of commands of a page, run one after the other in a folder of its own, as they stand there."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes import BIN, ROOT, SECONDS, process, until

_BLOCK = re.compile(
    r"(?:^<!-- (?:not run: (?P<why>[^\n]+?)"
    r'|until Ctrl-C(?P<each>, each line)?, ready at "(?P<ready>[^"\n]+)"'
    r'|while "(?P<beside>[^"\n]+)" runs'
    r"|(?P<asks>asks for a password)) -->\n)?"
    r"^```(?:sh|bash|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_QUOTE = re.compile(r"quote-\d{8}T\d{6}-[0-9a-f]{6}")
_LOG_IN = re.compile(r"\w+:scrypt[\w.+/=-]+")
_EXPORTED = re.compile(r"\b(PREFECT_API_URL|WEIGHBRIDGE_LEDGER)=(\S+)")
#: an ellipsis on a page that stands for the hash of a log-in
SHORTENED = "ana:scrypt..."

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
        beside: a command of the page that serves while it is run; None: none does.
        asks: whether a person types a password.
    """

    text: str
    why: str | None = None
    ready: str | None = None
    beside: str | None = None
    asks: bool = False

    @property
    def leaves_a_server(self) -> bool:
        """Whether it puts something into the background, which a person ends by closing the terminal."""
        return " & " in self.text

    @property
    def ends(self) -> bool:
        """Whether it is run by itself, and ends by itself."""
        return not (self.why or self.ready or self.beside or self.asks)


def blocks(page: str) -> list[DocBlock]:
    """The blocks of a page in their order; where each line serves by itself, each line is one."""
    found = []
    for one in _BLOCK.finditer(page):
        texts = one["text"].splitlines(keepends=True) if one["each"] else [one["text"]]
        how = (one["why"], one["ready"], one["beside"], bool(one["asks"]))
        found += [DocBlock(text, *how) for text in texts]
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
        #: addresses of a page, and what is there in their place
        self.places = {
            "http://127.0.0.1:8787": environment["ANTHROPIC_BASE_URL"],
            "--host 0.0.0.0": "--host 127.0.0.1",
        }
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
        # what gets a Ctrl-C, asks a person or has a Prefect server of its own is a process of its own
        self._from_file = environment | {"PATH": f"{BIN}:{environment['PATH']}"}
        self._environment = environment | {"PATH": f"{folder}/bin:{self._from_file['PATH']}"}

    def run(self, block: DocBlock, shown: str | None = None) -> tuple[int, str]:
        """The exit code of a block, and all that it printed; it ends at the first command that fails.

        Args:
            block: it.
            shown: what the command has printed beside which it is run: what it says to export is exported.
        """
        environment = self._environment
        if shown is not None:
            environment = self._from_file | dict(_EXPORTED.findall(shown))
        ended = subprocess.run(
            ["bash", "-e", "-c", self._filled(block.text)],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
            text=True,
        )
        self._printed += ended.stdout
        return ended.returncode, ended.stdout

    def answer(self, block: DocBlock, word: str) -> tuple[int, str]:
        """The same of a block on a terminal, at which a person types a word whenever it is asked for."""
        ours, theirs = pty.openpty()
        command = ["setsid", "--ctty", "bash", "-e", "-c", self._filled(block.text)]
        asking = subprocess.Popen(
            command, cwd=self._folder, env=self._from_file, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        printed = ""
        with suppress(OSError):  # of a terminal that nobody holds open any more
            while True:
                printed += os.read(ours, 1024).decode()
                if printed.endswith(": "):
                    os.write(ours, f"{word}\n".encode())
        os.close(ours)
        self._printed += printed
        return asking.wait(SECONDS), printed

    def serve(self, block: DocBlock, use: Callable[[str], None] = lambda _: None) -> tuple[bool, int, str]:
        """Whether a block came to serve, its exit code after a Ctrl-C, and all that it printed.

        Args:
            block: it.
            use: called while it serves, with what it has printed.
        """
        log = self._folder / "served.log"
        with process(
            ["bash", "-e", "-c", self._filled(block.text)], self._from_file, log, self._folder
        ) as serving:
            until(
                lambda: block.ready in log.read_text() or serving.poll() is not None,
                f"{block.ready}: {block.text}",
            )
            served = serving.poll() is None
            if served:
                use(log.read_text())
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
        for on_page, here in self.places.items():
            text = text.replace(on_page, here)
        for made in _LOG_IN.findall(self._printed):
            text = text.replace(SHORTENED, made)
        quotes = _QUOTE.findall(self._printed)
        return _QUOTE.sub(quotes[-1], text) if quotes else text
