"""Keras functional models of the paper: generators and PatchGAN discriminators.

Built from plain arguments; nothing here knows the run's configuration.
"""
