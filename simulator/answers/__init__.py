"""What stands in an answer, and how much of it there is."""
