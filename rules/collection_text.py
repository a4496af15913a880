"""What collecting came to, in words: the same in the terminal and in the state of the flow run."""

from schemas.batch import Collection
from schemas.words import with_noun


def collection_text(collection: Collection) -> str:
    """What was finished and what is still out, in one line."""
    if collection.nothing_left:
        return "Nothing is left to collect: no run was interrupted, and no batch is with the provider."
    text = (
        f"{with_noun(len(collection.reports), 'run')} finished; "
        f"{with_noun(collection.still_out, 'batch', 'batches')} still with the provider."
    )
    if collection.elsewhere:
        text += (
            f" {collection.elsewhere:,} of them at another endpoint or in another workspace: collect with its "
            "ANTHROPIC_BASE_URL and key."
        )
    return text
