#!/usr/bin/env bash
# Installs the servers that `--test real_peers` needs into PAIRSTORM_CACHE: `ws` from npm, `websockets` from PyPI into an
# environment of its own. Needs npm, node (18 or newer) and python3 (3.10 or newer, with venv). What is there stays.
set -euo pipefail

WS_VERSION=8.23.0
WEBSOCKETS_VERSION=17.4

: "${PAIRSTORM_CACHE:?names the folder to install into}"
for program in npm node python3; do
    if ! command -v "$program" >/dev/null; then
        echo "there is no $program on PATH: install Node.js with npm, and Python 3 with venv"
        exit 1
    fi
done

folder=$PAIRSTORM_CACHE/websocket-peers
mkdir -p "$folder"
# Scripts of packages are programs of strangers, and neither package needs one.
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error "ws@$WS_VERSION"
if ! [ -x "$folder/python/bin/python" ]; then
    python3 -m venv "$folder/python"
fi
"$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "websockets==$WEBSOCKETS_VERSION"
echo "ws $WS_VERSION and websockets $WEBSOCKETS_VERSION are in $folder"
