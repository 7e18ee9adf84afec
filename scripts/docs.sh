#!/usr/bin/env bash
# Builds the documentation of the six libraries as one static site; a warning or a broken link fails.
# The DocC plugin is in the package's graph only while FAULTLINE_DOCC is set, so users never fetch it.
# HOSTING_BASE_PATH: the path under which the site will be served, if it is not the root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

output=docs/site
export FAULTLINE_DOCC=1
mkdir -p "$output"
"${SWIFT:-swift}" package --scratch-path .build-docs --disable-sandbox \
    --allow-writing-to-directory "$output" generate-documentation \
    --target Userfault --target EventReactor --target Faultline --target FaultlineRemote --target FaultlineOperations \
    --target FaultlineTestKit \
    --enable-experimental-combined-documentation --warnings-as-errors \
    --transform-for-static-hosting --hosting-base-path "${HOSTING_BASE_PATH:-/}" \
    --output-path "$output"
echo "The documentation is in $output (serve it with: python3 -m http.server --directory $output)"
