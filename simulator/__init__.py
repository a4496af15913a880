"""A local server that speaks the Anthropic API, bills nothing real, and records what would have been paid.

It stands in for the API on a laptop and in tests, and shares no code with the pipeline it judges.
"""

from simulator.process import RunningSimulator, running_simulator

__all__ = ["RunningSimulator", "running_simulator"]
