"""What a job file is: by the ending of its name, and by its first bytes, where the name says something else."""

from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from schemas.errors import BadInput
from services.row_pieces import COMPRESSIONS, unpacked


class JobFormat(StrEnum):
    """How rows are written."""

    PARQUET = "Parquet"
    CSV = "CSV"
    JSON_LINES = "JSON Lines"


_ENDINGS = {
    ".parquet": JobFormat.PARQUET,
    ".csv": JobFormat.CSV,
    ".tsv": JobFormat.CSV,
    ".jsonl": JobFormat.JSON_LINES,
    ".ndjson": JobFormat.JSON_LINES,
    ".json": JobFormat.JSON_LINES,
}
#: what a job file may end in, for a refusal
ENDINGS = ".parquet, .csv, .tsv, .jsonl, .ndjson or .json; text also with .gz, .bz2 or .zst after it"
_WANTED = f"A job file is Parquet, CSV or JSON Lines, and its name ends in {ENDINGS}."
_MAGIC = b"PAR1"
_HEAD_BYTES = 4_096
_EXCEL = (
    "an Excel workbook",
    "Save the sheet as CSV UTF-8, or write it with pandas: pandas.read_excel(...).to_parquet('jobs.parquet')",
)
_FEATHER = (
    "an Arrow (Feather) file",
    "Write it as Parquet: with datasets, load_from_disk(...).to_parquet(...)",
)
_UTF16 = ("text in UTF-16", "Save it as UTF-8")
#: what others begin with, and what is to be done
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (_MAGIC, "a Parquet file", "Let its name end in .parquet"),
    (b"PARE", "an encrypted Parquet file", "Write it without encryption"),
    (b"PK\x03\x04", *_EXCEL),
    (b"\xd0\xcf\x11\xe0", *_EXCEL),
    (b"\x1f\x8b", "compressed with gzip", "Let its name end in .csv.gz or .jsonl.gz, or unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Let its name end in .csv.zst or .jsonl.zst, or unpack it"),
    (b"BZh91AY&SY", "compressed with bzip2", "Let its name end in .csv.bz2 or .jsonl.bz2, or unpack it"),
    (b"ARROW1", *_FEATHER),
    (b"\xff\xff\xff\xff", *_FEATHER),
    (b"ORC", "an ORC file", "Write it as Parquet"),
    (b"Obj\x01", "an Avro file", "Write it as Parquet"),
    (b"SQLite format 3", "a SQLite database", "Write the table as Parquet or CSV"),
    (b"\xff\xfe", *_UTF16),
    (b"\xfe\xff", *_UTF16),
)


def format_by_name(path: Path) -> JobFormat | None:
    """What the ending of a name says; None: nothing that is read."""
    plain = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    found = _ENDINGS.get(plain.suffix.lower())
    # a Parquet file is packed inside
    return None if found is JobFormat.PARQUET and plain is not path else found


def checked_format(path: Path) -> JobFormat:
    """What a file is, where its name and its first bytes do not contradict each other.

    A file whose name says nothing is read when it begins like Parquet.

    Raises:
        BadInput: with what was found, what is wanted, and what to do.
    """
    if not path.is_file():
        raise BadInput(f"{path} is not a file. {_WANTED} Nothing was sent.")
    named = format_by_name(path)
    try:
        raw = text = _head(path)
        if raw and named not in (None, JobFormat.PARQUET):
            text = _text_head(path)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{path} cannot be read ({type(error).__name__}): it is damaged, cut off, or may not be opened. {_WANTED} Nothing "
            "was sent."
        ) from error
    if not raw:
        raise BadInput(f"{path} is empty: it has no bytes. Write it again; nothing was sent.")
    found, fix = _described(text)
    if named is None:
        if text.startswith(_MAGIC):
            return JobFormat.PARQUET
        raise BadInput(f"{path} is {found}, by its first bytes. {_WANTED} {fix}; nothing was sent.")
    if not _fits(named, text, found):
        raise BadInput(
            f"{path} is called {path.suffix.lower()}, but by its first bytes it is {found}. {fix}; nothing was sent."
        )
    return named


def described_file(path: Path) -> str:
    """What another file is by its first bytes, and what is to be done, as a sentence; "" if it cannot be read."""
    try:
        found, fix = _described(_head(path))
    except (OSError, pa.ArrowException):
        return ""
    return f"{path.name} is {found}. {fix}."


_LOOKS_JSON, _LOOKS_TEXT = "text that begins like JSON", "text, such as CSV"


def _fits(named: JobFormat, head: bytes, found: str) -> bool:
    if named is JobFormat.PARQUET:
        return head.startswith(_MAGIC)
    # what is not JSON is refused with better words by its reader
    return found == _LOOKS_TEXT or (named is JobFormat.JSON_LINES and found == _LOOKS_JSON)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _text_head(path: Path) -> bytes:
    with unpacked(path) as stream:
        return bytes(stream.read(_HEAD_BYTES))


def _described(head: bytes) -> tuple[str, str]:
    """What begins so, and what is to be done about it."""
    for magic, found, fix in _OTHERS:
        # a header may begin with the letters of a magic number
        if head.startswith(magic) and (not magic.isalnum() or b"\0" in head):
            return found, fix
    if b"\0" in head:
        return "a binary file of an unknown kind", "Write its rows as Parquet, CSV or JSON Lines"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return _LOOKS_JSON, "Let its name end in .jsonl"
    return _LOOKS_TEXT, "Let its name end in .csv"
