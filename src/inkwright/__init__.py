"""Inkwright."""
