#!/bin/sh
# Runs uv: the one of the path, else one in build/uv, which the pip of any Python 3 puts there.
set -eu
if command -v uv >/dev/null 2>&1; then exec uv "$@"; fi
folder=$(cd "$(dirname "$0")/.." && pwd)/build/uv
if [ ! -x "$folder/bin/uv" ]; then
    echo "make: getting uv into $folder" >&2
    rm -rf "$folder" "$folder.part"
    # Debian's python3 may come without pip, and without what makes an environment that has it.
    if python3 -m pip --version >/dev/null 2>&1; then
        python3 -m pip install --quiet --target "$folder.part" uv
    elif python3 -m venv "$folder.part" >/dev/null 2>&1; then
        "$folder.part/bin/python" -m pip install --quiet uv
    else
        echo "make: uv is not on the path, and there is no Python 3 with pip to get it; install either" >&2
        exit 2
    fi
    mv "$folder.part" "$folder"
fi
exec "$folder/bin/uv" "$@"
