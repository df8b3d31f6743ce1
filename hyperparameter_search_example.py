#!/usr/bin/env python3
"""Searches the hyperparameters of a melody model: the same as `chromasonic search`.

python hyperparameter_search_example.py --n-trials 10 --epochs 15
"""

import sys

from chromasonic.cli import app

if __name__ == "__main__":
    app(["search", *sys.argv[1:]], prog_name="chromasonic")
