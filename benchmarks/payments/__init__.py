"""Payments accepted and settled per second, beside a no-op view, an idiomatic version, and pgbench TPC-B."""
