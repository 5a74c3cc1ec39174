#!/usr/bin/env bash
# Makes a virtual environment with the package, its tests, linters and documents.
# usage: tools/make_venv.sh FOLDER PYTHON
# FOLDER/.ready appears last, so an interrupted installation is made anew.
set -euo pipefail
folder=$1
python=$2
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 13))'; then
  echo "error: no Python for $folder (got '${python:-none}'). Install Python 3.9 to 3.11 for the" \
    "classic stack, 3.12 or 3.13 for the current one, and name it: make PYTHON=... or" \
    "PYTHON_CURRENT=..." >&2
  exit 1
fi
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
  --constraint constraints.txt --editable '.[test,lint,docs]'
touch "$folder/.ready"
