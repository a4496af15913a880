"""The faults and latencies of a plan, as they strike requests and answers."""
