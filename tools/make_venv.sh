#!/bin/sh
# Makes an environment: sh tools/make_venv.sh FOLDER [PYTHON]
# Of PYTHON, else of the first Python 3.11 or 3.12 on the path, else of a Python 3.11 that uv brings.
set -eu
folder=$1
python=${2:-}

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' >/dev/null 2>&1
}

if [ -n "$python" ]; then
    if ! fits "$python"; then
        found=$("$python" --version 2>&1) || found="nothing that runs"
        echo "make: needs Python 3.11 or 3.12, PYTHON=$python is $found; leave it out, and one is found or brought" >&2
        exit 2
    fi
else
    for candidate in python3.11 python3.12 python3; do
        if fits "$candidate"; then
            python=$candidate
            break
        fi
    done
fi

# Debian packs what `venv` needs apart, as python3.11-venv; uv needs none of it.
if [ -n "$python" ] && "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    exec "$python" -m venv "$folder"
fi
if [ -n "$python" ]; then
    echo "make: $python has no ensurepip (python3-venv on Debian); the environment is made with uv" >&2
    python=$("$python" -c 'import sys; print(sys.executable)')
else
    echo "make: found no Python 3.11 or 3.12; uv brings Python 3.11" >&2
fi
if ! sh "$(dirname "$0")/uv.sh" venv --quiet --seed --python "${python:-3.11}" "$folder"; then
    echo "make: uv made no environment; install Python 3.11 or 3.12 with venv, or give PYTHON=/path/to/python" >&2
    exit 2
fi
