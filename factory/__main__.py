"""``python -m factory``."""

from factory.cli.main import main

main()
