"""How measurements are made: the flow, stages, sources, store, products and command line."""

__version__ = "0.1.0"
