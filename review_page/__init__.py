"""The review page: the table `reviews` in a browser, for people who decide.

An admin over the ledger's own tables (starlette-admin); what is decided goes through `services.ledger.reviews`, as on
the command line.
"""
