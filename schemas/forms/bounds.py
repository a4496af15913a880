"""The bounds of whole numbers that people write into forms and options."""

LEAST_ROWS = 1
LEAST_TOKENS = 1
LEAST_SEED = 0
LEAST_WORKERS = 1
MOST_WORKERS = 64
#: of a Dask scheduler
DASK_ADDRESS = r"^[a-z]+://\S+$"
#: the largest whole number that a browser holds exactly (ECMAScript, Number.MAX_SAFE_INTEGER)
MOST_WHOLE = 2**53 - 1
