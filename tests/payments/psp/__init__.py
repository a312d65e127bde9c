"""Tests of the PSP contract: one conformance suite for every server, and what only one adapter has."""
