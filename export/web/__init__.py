"""The drawing page: a static site around one trained model. See `python -m export.web --help`."""
