"""TensorFlow Serving: configuration for the official image, a client, a load test."""
