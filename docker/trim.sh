#!/bin/sh
# Takes from the installed packages, whose folder is the argument, what this service never loads: a third of them.
# tests/image trains, draws, exports and predicts in the image, so that what it misses shows.
set -eu
cd "$1"

# Tests, and what only compilers read.
find . -depth -type d \( -name tests -o -name test \) -exec rm -r {} +
find . -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.pxd' \
  -o -name '*.pyx' -o -name '*.pyi' -o -name '*.a' \) -delete

# Of SciPy, Numba's products need the BLAS; of fontTools, Matplotlib needs two modules; ONNX only builds models here,
# and of pictures there are PNG and SVG.
find scipy -mindepth 1 -maxdepth 1 -type d ! -name linalg ! -name _lib -exec rm -r {} +
find matplotlib/mpl-data/fonts -mindepth 1 -maxdepth 1 -type d ! -name ttf -exec rm -r {} +
find fontTools -mindepth 1 -maxdepth 1 -type d ! -name misc -exec rm -r {} +
rm -r onnx/backend onnx/reference zstandard/_cffi*.so PIL/_avif*.so pillow.libs/libavif* matplotlib/mpl-data/sample_data

# Of Plotly, the pages serve one script, and nothing is imported.
find plotly -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name package_data -exec rm -r {} +
find plotly/package_data -mindepth 1 -maxdepth 1 ! -name plotly.min.js -exec rm -r {} +
rm -r narwhals

# Debugging symbols; not of the libraries that wheels bring along, whose sections have been moved: stripped, they don't load.
find . -type f -name '*.so' ! -path './*.libs/*' -exec strip --strip-unneeded {} +
