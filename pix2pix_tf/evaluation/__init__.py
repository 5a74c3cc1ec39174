"""How good a model is, measured on pairs that it was not trained on."""
