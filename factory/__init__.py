"""factory turns an installer ISO and one declarative file into proven machine images."""

__version__ = "0.1.0"
