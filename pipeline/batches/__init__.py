"""Batches of sites: one at a time, what they leave in the books, what is told of them, and what they clear away."""
