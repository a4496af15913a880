"""What collecting came to, in words: the same in the terminal and in the state of the flow run."""

from schemas.batch import Collection


def collection_text(collection: Collection) -> str:
    """What was finished and what is still out, in one line."""
    if collection.nothing_left:
        return "Nothing is left to collect: no run was interrupted, and no batch is with the provider."
    text = (
        f"{_many(len(collection.reports), 'run', 'runs')} finished; "
        f"{_many(collection.still_out, 'batch', 'batches')} still with the provider."
    )
    if collection.elsewhere:
        text += (
            f" {collection.elsewhere:,} of them at another endpoint or in another workspace: collect with its "
            "ANTHROPIC_BASE_URL and key."
        )
    return text


def _many(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
