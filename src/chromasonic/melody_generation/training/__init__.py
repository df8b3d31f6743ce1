"""Training of one melody model, and the objective of a search."""
