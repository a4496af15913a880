"""How a run is named and tagged where people look for it among others."""

from schemas.outcome import Mode


def run_label(day: str, jobs: str | None, mode: str | None) -> str:
    """The name of a run: its day, its file and its mode, such as "2026-11-27 tickets.csv, batches".

    A file whose name begins with the day says the day itself.

    Args:
        day: on which it was to begin, as ISO 8601.
        jobs: the job file, folder or glob; None: it sends what people approved.
        mode: None: it is not known.
    """
    file = "approved jobs" if jobs is None else jobs.rstrip("/").rsplit("/", maxsplit=1)[-1] or jobs
    label = file if file.startswith(day) else f"{day} {file}"
    return f"{label}, {mode}" if mode else label


def run_tags(mode: Mode, policy_name: str, *, simulated: bool) -> list[str]:
    """The tags of a run: its mode, its policy, and that it is simulated where it is."""
    tags = [mode.value, f"policy:{policy_name}"]
    return [*tags, "simulated"] if simulated else tags
