"""Measurements, run by hand. Never part of the tests: a shared machine's clock proves nothing about the code."""
