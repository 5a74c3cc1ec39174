"""The FCN-score: does a network trained on photos recognise what a picture should show?

Imports run one way: a module imports only from the lines above it and from what stands before it
in its line:

    fcn, segmenter_config, class_maps       the network, its settings, the truth in files
    confusion                               the three scores from counted pixels
    segmenter, segmenter_data               a trained network in a folder; what it learns from
    segmenter_training                      the training
    segmentation_measure                    the scores of an evaluation

Reference:
    Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
    Segmentation", CVPR 2015; the paper's section 3.2.
"""
