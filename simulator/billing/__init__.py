"""What is billed: counts, usage, prices, the log of what was paid, and the reports made of it."""
