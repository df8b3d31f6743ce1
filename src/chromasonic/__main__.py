"""`python -m chromasonic`."""

import os
import sys

# Python puts the working directory first, whose files are not to be imported by accident.
# `tune` adds it again, since it is told to import from there.
sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]  # noqa: PTH109

from chromasonic.cli import main  # noqa: E402

main()
