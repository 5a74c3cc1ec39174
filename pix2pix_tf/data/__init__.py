"""From files, or drawn scenes, to batches of (source, target) pairs."""
