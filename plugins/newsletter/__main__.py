"""`python -m newsletter` is the command `newsletter`."""

from newsletter.cli import main

main(prog_name="newsletter")
