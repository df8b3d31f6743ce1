"""What a finished search looks like: text, files, figures."""
