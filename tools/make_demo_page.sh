#!/usr/bin/env bash
# Makes the drawing page of the demo's model, or says what it takes.
# usage: tools/make_demo_page.sh DEMO_FOLDER PYTHON MAKE
set -euo pipefail
demo=$1
python=$2
make=$3
site=$demo/web
[ -f "$demo/index.html" ] || exit 0 # The training was stopped, and has said so.
if [ "$site/site.json" -nt "$demo/index.html" ]; then
  echo "The drawing page is in '$site'. To draw: $python -m export.web.serve --site=$site"
elif ! command -v npm > /dev/null; then
  echo "There is no npm for the drawing page: install Node.js 18 or newer, then call make demo again."
elif ! "$make" --no-print-directory node; then
  echo "LiteRT.js could not be installed for the drawing page: call make demo again later."
else
  rm -rf "$site" # Of fewer steps.
  "$python" -m export.web --workdir="$demo/run" --output="$site"
fi
