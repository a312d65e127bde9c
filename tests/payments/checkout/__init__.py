"""Tests of the hosted page."""
