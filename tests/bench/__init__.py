"""Benchmarks: real work through the real path, ratios against a named baseline of the same run, never a timed assertion."""
