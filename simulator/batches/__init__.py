"""Message Batches: their lives, their items and their results."""
