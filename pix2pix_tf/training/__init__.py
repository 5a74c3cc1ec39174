"""The training loop and what it needs: state, step, checkpoints, and what a person sees."""
