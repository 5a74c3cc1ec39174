#!/usr/bin/env bash
# Prints a command that runs the first of the given Python versions found on this machine.
# usage: tools/find_python.sh 3.13 3.12
for version in "$@"; do
  # pyenv's shims are on the PATH for versions that are not selected, and fail: try each.
  for candidate in "$(command -v "python$version")" \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version"*/bin/"python$version"; do
    if [ -x "$candidate" ] && "$candidate" -c '' 2>/dev/null; then
      echo "$candidate"
      exit 0
    fi
  done
done
exit 1
