"""TensorFlow Serving: configuration for the official image, and a client."""
