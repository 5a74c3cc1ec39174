"""From a run folder to what others run; so far a SavedModel."""
