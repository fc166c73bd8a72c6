"""A folder of images, one sub-folder for each class: listed, decoded once, split, cached."""
