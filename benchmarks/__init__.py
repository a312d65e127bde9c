"""Benchmarks: commands that print ratios measured in one run and check the books afterwards."""
