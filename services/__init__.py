"""The outside world: the API, the ledger, Parquet, prices, the simulator."""
