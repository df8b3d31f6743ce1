"""Analysis of a finished search: convergence, importance, stopping, the next space."""
