"""The `weighbridge` command: one file per command."""
