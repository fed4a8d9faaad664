"""Surfaces: what a person touches. No logic of their own."""
