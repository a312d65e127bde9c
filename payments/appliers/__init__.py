"""Appliers: what an answer of the PSP means for our rows, per kind. They lie below `settlement` and only change objects
in memory; `settlement` locked the objects and writes them.
"""
