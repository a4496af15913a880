"""The HTTP side: the application, its endpoints, the shapes of its answers and errors, pages and rate limits."""
