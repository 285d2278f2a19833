"""Callers' keys: the private keys that open them, and the command that makes those."""
