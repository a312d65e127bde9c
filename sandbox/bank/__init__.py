"""A bank that keeps its own books: it receives what the PSP pays out, executes files of credit transfers, and writes
statements.

It exists so that reconciliation has a third party whose word is not ours. It makes mistakes on demand, and its own
books balance all the same. It imports nothing of the other apps, and shares no code with what reads its statements.
"""
