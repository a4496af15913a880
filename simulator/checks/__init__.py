"""Checks of a request, as the API makes them before it counts or answers."""
