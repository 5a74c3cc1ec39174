"""From a run folder to what others run: a SavedModel, TFLite, TF.js, a server, a page."""
