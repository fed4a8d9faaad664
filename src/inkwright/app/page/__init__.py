"""Pages that are one file and work offline: no script, nothing fetched, every word of a text shown as text."""
