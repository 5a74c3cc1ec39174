"""Comparisons with other implementations, re-written here, and the measures for them."""
