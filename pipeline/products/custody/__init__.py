"""What holds a result together: hashes re-checked, what vouches for a run, what a difference touches."""
