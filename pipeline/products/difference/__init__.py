"""Two runs of a site side by side: which numbers moved, and what the runs were made from that differs."""
