#!/usr/bin/env bash
# Feeds what decodes the bytes of strangers with bytes that libFuzzer makes up: scripts/fuzz.sh [SECONDS]
# Each file Fuzz/*.swift is a target. What is found lies in .build-fuzz/NAME/ afterwards, and the script fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
build=.build-fuzz
remote=Sources/FaultlineRemote
# The decoders and nothing else: they need no reactor.
declare -A sources=(
    [Frames]="$remote/Wire/ByteReader.swift $remote/Wire/FrameError.swift $remote/Wire/FrameHeader.swift
        $remote/Wire/FrameKind.swift $remote/Wire/HandshakeMessages.swift $remote/Internals/Bytes.swift"
)
compiler=$(dirname "$(command -v "${SWIFT:-swift}")")

mkdir -p "$build"
"$compiler/clang" -c -O1 -g -fsanitize=address -ISources/CChecksum/include Sources/CChecksum/crc32c.c -o "$build/crc32c.o"
for target in Fuzz/*.swift; do
    name=$(basename "$target" .swift)
    # shellcheck disable=SC2086 — a list of files
    "$compiler/swiftc" -O -g -parse-as-library -swift-version 6 -warnings-as-errors -package-name faultline \
        -sanitize=fuzzer,address -use-ld=lld -module-name "Fuzz$name" -enable-upcoming-feature InternalImportsByDefault -I Sources/CChecksum/include \
        ${sources[$name]} "$target" "$build/crc32c.o" -o "$build/$name.fuzzer"
    mkdir -p "$build/$name/corpus"
    # A frame of each kind to begin with; the first byte has its checksums made right.
    for kind in 01 02 03 04 05 10 11 12 13 14 20; do
        { printf '\x01FLP1'; printf "\\x$kind"; head -c 120 /dev/zero; } >"$build/$name/corpus/seed-$kind"
    done
    # What a handshake says: versions and a name, a version, terms.
    { printf '\x02\x01\0\x01\0'; head -c 48 /dev/zero; printf '\x01\0a'; } >"$build/$name/corpus/seed-hello"
    { printf '\x03\x01\0\0\0'; head -c 32 /dev/zero; } >"$build/$name/corpus/seed-challenge"
    {
        printf '\x04'; head -c 16 /dev/zero; printf '\0\x10\0\0\0\0\0\0' # the length of the store
        printf '\x01\0\0\0\0\x10\0\0\x01\0\0\0\0\x10\0\0'             # read-only, limits
    } >"$build/$name/corpus/seed-terms"
    echo "--- $name for $seconds s"
    # The runtimes of Swift keep what they allocate once: no search for leaks. Whoever crashes is reported by libFuzzer.
    SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 "$build/$name.fuzzer" -max_total_time="$seconds" -max_len=1200 -timeout=10 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/$name/" "$build/$name/corpus"
done
