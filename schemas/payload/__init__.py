"""The payload of a job: one Messages request, what the API refuses in it, and what rules and prices ask about it."""
