#!/usr/bin/env bash
# Feeds what decodes the bytes of strangers with bytes that libFuzzer makes up: scripts/fuzz.sh [SECONDS [TARGET…]]
# All targets run at once, for as long as that. Each file Fuzz/NAME.swift is one; Fuzz/targets.sh says what it is made of.
# What is found lies in .build-fuzz/NAME/ afterwards, and the script fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
targets=("${@:2}")
if [ ${#targets[@]} = 0 ]; then
    for file in Fuzz/*.swift; do targets+=("$(basename "$file" .swift)"); done
fi
build=.build-fuzz
compiler=$(dirname "$(command -v "${SWIFT:-swift}")")
includes=(-I "$build" -I Sources/CChecksum/include -I Sources/CUserfaultfd/include -I Sources/CRelay/include)
flags=(-O -g -wmo -parse-as-library -swift-version 6 -warnings-as-errors -package-name faultline -sanitize=fuzzer,address)
for feature in InternalImportsByDefault ExistentialAny MemberImportVisibility; do flags+=(-enable-upcoming-feature $feature); done
# shellcheck source=Fuzz/targets.sh
. Fuzz/targets.sh

compile_c() { # OBJECT SOURCE INCLUDES
    "$compiler/clang" -c -O1 -g -fsanitize=address "-I$3" "$2" -o "$build/$1.o"
}

module() { # NAME SOURCE…
    "$compiler/swiftc" "${flags[@]}" -enable-testing "${includes[@]}" -module-name "$1" -emit-module \
        -emit-module-path "$build/$1.swiftmodule" -c "${@:2}" -o "$build/$1.o"
}

# The decoders and what they need of the modules they are in, and nothing else: they need no reactor.
compile_modules() {
    compile_c crc32c Sources/CChecksum/crc32c.c Sources/CChecksum/include
    compile_c relay Sources/CRelay/relay.c Sources/CRelay/include
    compile_c thread Sources/CRelay/thread.c Sources/CRelay/include
    # shellcheck disable=SC2046 # lists of files
    module Userfault $(find Sources/Userfault -name '*.swift')
    module Faultline Sources/Faultline/Adoption/MemoryDescription*.swift Sources/Faultline/ReadAhead/TouchTrace*.swift \
        Sources/Faultline/Memory/HugePage.swift
}

compile() { # TARGET
    local modules="$1_modules" objects=("$build/crc32c.o")
    if [ -n "${!modules:-}" ]; then objects+=("$build"/{Faultline,Userfault,relay,thread}.o); fi
    # shellcheck disable=SC2046 # a list of files
    "$compiler/swiftc" "${flags[@]}" -use-ld=lld "${includes[@]}" -module-name "Fuzz$1" $("$1_sources") Fuzz/Support/*.swift \
        "Fuzz/$1.swift" "${objects[@]}" -emit-executable -emit-module-path "$build/Fuzz$1.swiftmodule" -o "$build/$1.fuzzer"
}

seed() { cat >"$build/$name/corpus/seed-$1"; } # FILE: what to begin with, from standard input

libfuzzer() { # TARGET ARGUMENT…
    # The runtimes of Swift keep what they allocate once: no search for leaks. Whoever crashes is reported by libFuzzer.
    SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 "$build/$1.fuzzer" -timeout=20 \
        -artifact_prefix="$build/$1/" "${@:2}" >>"$build/$1/log" 2>&1
}

fuzz() { # TARGET
    local end=$((SECONDS + seconds)) input
    : >"$build/$1/log"
    while [ "$SECONDS" -lt "$end" ]; do
        if libfuzzer "$1" -max_total_time=$((end - SECONDS)) -max_len=1200 -print_final_stats=1 -verbosity=0 \
            "$build/$1/corpus"; then
            continue
        fi
        # An input that takes too long is one if it does so again: a machine may stand still for a while.
        input=$(sed -n 's/.*Test unit written to \(.*timeout-.*\)/\1/p' "$build/$1/log" | tail -n 1)
        [ -n "$input" ] && [ -e "$input" ] && libfuzzer "$1" "$input" || return 1
        rm "$input"
    done
}

mkdir -p "$build"
echo "--- compiling ${targets[*]}"
compile_modules
declare -A running=()
for name in "${targets[@]}"; do
    compile "$name" &
    running[$name]=$!
done
for name in "${targets[@]}"; do
    wait "${running[$name]}"
    mkdir -p "$build/$name/corpus"
    "${name}_seeds"
done
echo "--- running for $seconds s"
for name in "${targets[@]}"; do
    fuzz "$name" &
    running[$name]=$!
done
failed=()
for name in "${targets[@]}"; do
    wait "${running[$name]}" || failed+=("$name")
    runs=$(awk '/^stat::number_of_executed_units:/ { sum += $2 } END { print sum + 0 }' "$build/$name/log")
    printf '%-14s %10s runs, %6s inputs kept\n' "$name" "$runs" "$(find "$build/$name/corpus" -type f | wc -l)"
done
for name in ${failed[@]+"${failed[@]}"}; do
    printf '\n--- %s found something; the input lies in %s:\n' "$name" "$build/$name"
    tail -n 60 "$build/$name/log"
done
[ ${#failed[@]} = 0 ]
