"""How fast the service is on this machine: `python -m tests.bench`. It measures and never asserts a time."""
