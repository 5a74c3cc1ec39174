"""Which packages are installed; all else is in pyproject.toml.

The folder `export` becomes the package `pix2pix_tf.export`, since others may have an `export`, too.
"""

import setuptools

_EXPORT = setuptools.find_packages(include=["export", "export.*"])
setuptools.setup(
    packages=[
        *setuptools.find_packages(include=["pix2pix_tf", "pix2pix_tf.*"]),
        *(f"pix2pix_tf.{name}" for name in _EXPORT),
    ],
    package_dir={"pix2pix_tf.export": "export"},
)
