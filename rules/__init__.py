"""What is decided: pure functions over the nouns. No Prefect, no SQL, no network, no files."""
