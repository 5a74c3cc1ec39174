"""From files and drawn scenes to batches.

Imports run one way. A module imports from what stands before it:

    image_files, arrays, orientation   files on disk or in memory; NumPy and TIFF; which way is up
    picture_files                      headers of pictures; pixels of BMP, GIF, WebP, PNM, TGA
    values                             what was seen of pictures, and what is likely wrong
    images, untrusted                  image files to pixels, also inside an exported model
    augment, lab                       resizing, the jitter, padding; colours as CIE Lab
    classes, scenes                    the classes of labelled data sets; the drawn one
    index_maps, label_pictures         files of indexes of classes; what colours tell of classes
    picture_folders, nearby            what is not used of a folder; what there is instead of pairs
    records, layouts, registry         pairs in large files; in folders; the published sets
    contents                           names of pairs, sizes and times of their files
    decoding, pairs                    files of a pair to A and B; sources of pairs, by their number
    pipeline, examples                 scaled pairs to tf.data batches; examples to look at
    label_targets                      the classes that training targets show
"""
