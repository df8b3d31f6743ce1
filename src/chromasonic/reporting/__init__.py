"""Text, files and figures of a search."""
