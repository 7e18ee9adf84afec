#!/usr/bin/env bash
# Counts the instructions that a fault costs outside of the kernel, by what they belong to: scripts/instructions.sh
# The pager is real, and so is what it tells the kernel; the faults are made up (Benchmarks/Instructions). The counts
# hardly vary from run to run. Needs valgrind (apt-get install valgrind) and a userfaultfd.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v valgrind >/dev/null || { echo "This needs valgrind."; exit 1; }

export FAULTLINE_INSTRUCTIONS=1 FAULTLINE_TEST_SEED=1
build=.build-instructions
few=10000
many=30000
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${SWIFT:-swift}" build -c release --scratch-path "$build" --product Instructions >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
strip --strip-debug -o "$folder/program" "$build/release/Instructions"

count() { # STYLE FAULTS-IN-A-TURN PAGES: COUNT WHAT, for each function
    valgrind -q --tool=callgrind --callgrind-out-file="$folder/out" "$folder/program" "$1" "$3" "$2" >"$folder/log" 2>&1 \
        || { cat "$folder/log" >&2; return 1; }
    callgrind_annotate --threshold=100 "$folder/out" | sed -nE 's/^ *([0-9,]+) \([^)]*\) +(.*)/\1 \2/p' \
        | awk '{ gsub(",", "", $1); print }'
}

printf '%-26s%10s%10s%10s%10s%10s%10s%10s%10s\n' 'per fault' all Faultline Userfault reactor libevent Swift tasks libc
for course in 'sync 1' 'sync 16' 'sync 64' 'async 1' 'suspend 1'; do
    read -r style together <<<"$course"
    count "$style" "$together" "$few" >"$folder/few"
    count "$style" "$together" "$many" >"$folder/many"
    # What both runs have in common is starting up; what is left are the faults that one has and the other has not.
    awk -v faults=$((many - few)) -v name="$style, $together in a turn" '
        function place(line) {
            # The making up itself.
            if (line ~ /PROGRAM TOTALS|12Instructions|16FaultlineTestKit|11EventReaderC6append|13MessageBufferV5store/) return ""
            if (line ~ /\[.*libevent.*\]/) return "libevent"
            if (line ~ /\[.*libswift_Concurrency.*\]/) return "tasks"
            if (line ~ /\[.*(libc\.so|ld-linux).*\]|sysdeps|nptl/) return "libc"
            if (line ~ /:\$s12EventReactor/) return "reactor"
            if (line ~ /:\$s9Userfault/) return "Userfault"
            if (line ~ /:\$s9Faultline/) return "Faultline"
            # Its own, and what is compiled from it for types of ours.
            return "Swift"
        }
        { where = place($0); if (where != "") sum[where] += (NR == FNR ? -$1 : $1) }
        END {
            split("Faultline Userfault reactor libevent Swift tasks libc", order, " ")
            for (i = 1; i <= 7; i++) all += sum[order[i]]
            printf "%-26s%10.0f", name, all / faults
            for (i = 1; i <= 7; i++) printf "%10.0f", sum[order[i]] / faults
            print ""
        }' "$folder/few" "$folder/many"
done
