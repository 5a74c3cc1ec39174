"""The FCN-score: does a network trained on photos recognise what a picture should show?

Imports run one way: a module imports only from the lines above it and from what stands before it
in its line:

    class_maps, confusion                   the truth in files; three scores from counted pixels
    fcn, segmenter_config, segmenter        the network, its settings, a trained one in a folder
    segmenter_data, segmenter_training      the photos that it learns from; its training
    segmentation_measure                    the scores of an evaluation

Reference:
    Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
    Segmentation", CVPR 2015; the paper's section 4.1.
"""
