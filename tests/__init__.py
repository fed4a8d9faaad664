"""The tests, importable by name: the soak runs some of them without pytest."""
