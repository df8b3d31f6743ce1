"""Steps after a search: winner, final model, ensemble."""
