"""The outside world: the API, the ledger, job and result files, Prefect, Dask, processes."""
