"""Reconciliation, judged from outside: a true history with planted faults and its score, and how fast a night is."""
