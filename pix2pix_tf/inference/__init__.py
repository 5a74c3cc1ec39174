"""Translating images with a trained model."""
