"""How good a model is, measured on pairs that it was not trained on.

Imports run one way: a module imports only from the lines above it and from what stands before it
in its line:

    measure                                 what all measures are given, and what they return
    full_reference, colour, spectrum        output against target
    diversity                               outputs against one another
    distribution_distance                   sets of outputs against sets of targets
    fcn_score                               what a segmenter recognises in outputs
    label_maps                              which classes outputs show, where they are labels
    features, outputs, reference            what judges, what is judged, what it should be
    page, runner                            the page; one loop over the pairs, all measures
    train_segmenter, perceptual_study       commands of their own
"""
