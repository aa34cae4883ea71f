#!/bin/sh
# Takes from the installed packages, whose folder is the argument, what this service never loads: a third of them.
# tests/image imports every module, trains, draws, exports and predicts in the image, so that what it misses shows.
set -eu
cd "$1"

# Tests, what only compilers read, and what packages bring for Jupyter and `man`.
find . -depth -type d \( -name tests -o -name test \) -exec rm -r {} +
find . -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.pxd' \
  -o -name '*.pyx' -o -name '*.pyi' -o -name '*.a' \) -delete
rm -r ../../../share

# Of NumPy, what builds extensions isn't needed, nor the kernels that only its own tests call; of databases there are
# SQLite and PostgreSQL; ONNX only builds models here.
rm -r numpy/distutils numpy/_core/_simd.*.so
rm -r sqlalchemy/testing sqlalchemy/dialects/mysql sqlalchemy/dialects/mssql sqlalchemy/dialects/oracle
rm -r onnx/backend onnx/reference zstandard/_cffi*.so
rm -r tzdata # a second copy, as the base has the time zones

# Of pictures there are PNG and SVG, without a window, in one family of fonts; of fontTools, Matplotlib needs two modules.
rm -r matplotlib/mpl-data/sample_data matplotlib/mpl-data/fonts/ttf/DejaVuSerif*
find matplotlib/mpl-data/fonts -mindepth 1 -maxdepth 1 -type d ! -name ttf -exec rm -r {} +
find matplotlib/backends -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name registry.py ! -name backend_mixed.py \
  ! -name backend_svg.py ! -name backend_agg.py ! -name '_backend_agg.*' -exec rm -r {} +
find fontTools -mindepth 1 -maxdepth 1 -type d ! -name misc -exec rm -r {} +
for each in _avif _webp _imagingcms _imagingft; do rm PIL/$each.*.so; done
(cd pillow.libs && rm libavif* libwebp* libsharpyuv* liblcms2* libfreetype* libharfbuzz* libpng16* libbrotli*)

# Of Plotly, the pages serve one script, and nothing is imported.
find plotly -mindepth 1 -maxdepth 1 ! -name __init__.py ! -name package_data -exec rm -r {} +
find plotly/package_data -mindepth 1 -maxdepth 1 ! -name plotly.min.js -exec rm -r {} +
rm -r narwhals

# Of the languages that Pygments knows, those that messages are in; it is told so, as it would look for the others.
find pygments/lexers -type f ! -name __init__.py ! -name _mapping.py ! -name python.py ! -name special.py -delete
sed -i -E "/^    '\w+': \('pygments\.lexers\.(python|special)'/b; /^    '/d" pygments/lexers/_mapping.py

# Lists of files, which no longer tell the truth.
find . -path './*.dist-info/RECORD' -delete

# Debugging symbols; not of the libraries that wheels bring along, whose sections have been moved: stripped, they don't load.
find . -type f -name '*.so' ! -path './*.libs/*' -exec strip --strip-unneeded {} +
