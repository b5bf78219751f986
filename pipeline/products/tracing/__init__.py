"""One number or sentence followed to its pixels."""
