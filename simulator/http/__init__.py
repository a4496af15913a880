"""The HTTP side: the application, its endpoints, the shapes of its answers and errors, and the faults of a plan."""
