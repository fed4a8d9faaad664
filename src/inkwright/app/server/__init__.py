"""Models over HTTP, as OpenAI's clients expect them, and the playground beside them. Imported only where `serve` runs."""
