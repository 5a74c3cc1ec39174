"""One model on every runtime: how far each may be from Keras, and how far it is.

Imports run one way, from top to bottom:

    limits            greatest differences that are allowed
    runtimes          what a runtime is; `register` adds one
    saved_model       the export itself, in Python and in the C++ session
    measuring         what a runtime gives, against what the reference gives
    report            the table, the JSON and the picture
    verification      all of it, for a run
"""
