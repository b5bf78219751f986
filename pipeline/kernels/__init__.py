"""Loops over pixels, compiled; each held to a plain numpy specification in tests/specification."""
