"""Portal: the private AI platform for the models people run themselves."""

__version__ = "0.9.0"
