"""The drawing page: a static site around one trained model. See `pix2pix export web --help`."""
