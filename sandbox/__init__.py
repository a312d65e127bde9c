"""The outside world for development: servers of their own that import nothing of Florin and are imported by
nothing of it.
"""
