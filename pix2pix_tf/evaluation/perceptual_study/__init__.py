"""The paper's perceptual study: do people take a translated picture for a real one?

protocol     what a study and the answers to it hold, and reading these; no TensorFlow
build        pictures and a page, from the outputs of algorithms and the true pictures
site/        that page: runs one session in a browser and saves the answers as a file
results      the rate of fooling of each algorithm, from such files
"""
