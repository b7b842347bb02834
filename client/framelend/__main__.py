"""`python -m framelend`: the same as the command."""

from framelend.cli import main

main()
