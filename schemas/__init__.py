"""The nouns: what Weighbridge speaks about. No I/O here, and nothing of Prefect or of the API client."""
