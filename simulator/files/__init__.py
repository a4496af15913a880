"""The Files API: what was uploaded, and what requests may refer to."""
