"""Framelend for renters and lenders: a typed HTTP client and the `framelend` command on it."""
