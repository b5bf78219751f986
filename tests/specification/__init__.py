"""Plain numpy versions of the compiled kernels: what these must give."""
