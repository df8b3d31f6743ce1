"""Settings of the documentation."""

from chromasonic import __version__

project = "chromasonic"
author = "The chromasonic authors"
copyright = f"2026, {author}"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "chromasonic"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
