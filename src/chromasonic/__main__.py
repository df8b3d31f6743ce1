"""`python -m chromasonic`."""

from chromasonic.cli import main

main()
