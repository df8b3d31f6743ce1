"""Generated melodies: drawing, export, measures."""
