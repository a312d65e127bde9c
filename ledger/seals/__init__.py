"""Seals: each book is a chain of Merkle blocks over its transactions, signed and published outside the database.

What the seals prove and what not: docs/explanation/seals.md. Byte by byte: docs/reference/seals.md. Nothing in here
touches the network; `payments/seal_anchor.py` publishes the heads.
"""
