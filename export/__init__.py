"""From a run folder to what others run: a SavedModel, a server, TFLite, TF.js, a page."""
