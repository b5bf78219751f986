"""The four passes over pixels; each function is a task that reads from the store and returns a small record."""
