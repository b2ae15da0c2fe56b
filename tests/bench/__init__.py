"""Benches: ours beside peers, interleaved, on the same input. `python -m tests.bench NAME`."""
