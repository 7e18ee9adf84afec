# shellcheck shell=bash
# What scripts/fuzz.sh builds, and what each target begins with. A target is a file Fuzz/NAME.swift and two functions here:
# NAME_sources lists what is compiled together with it, NAME_seeds calls `seed FILE` for the inputs to begin with, whose first
# byte says what the rest is.

# N NUMBER: the number as N bytes, the least significant one first.
le() { local i; for ((i = 0; i < $1; i++)); do printf '%b' "\\x$(printf %02x $(($2 >> 8 * i & 255)))"; done; }
zeroes() { head -c "$1" /dev/zero; }

remote=Sources/FaultlineRemote
Frames_sources() {
    echo $remote/Wire/{ByteReader,FrameError,FrameHeader,FrameKind,HandshakeMessages}.swift $remote/Internals/Bytes.swift
}
Frames_seeds() {
    local kind
    # A frame of each kind; the first byte has its checksums made right.
    for kind in 01 02 03 04 05 10 11 12 13 14 20; do
        { printf '\x01FLP1%b' "\\x$kind"; zeroes 120; } | seed "$kind"
    done
    # What a handshake says: versions and a name, a version, terms.
    { printf '\x02\x01\0\x01\0'; zeroes 48; printf '\x01\0a'; } | seed hello
    { printf '\x03\x01\0\0\0'; zeroes 32; } | seed challenge
    # The length of the store, read-only, limits.
    { printf '\x04'; zeroes 16; le 8 4096; le 4 1; le 4 4096; le 4 1; le 4 4096; } | seed terms
}

Images_sources() { echo Examples/LazyPages/Sources/CheckpointImages/*.swift; }
Images_seeds() {
    # Records, each behind its length: numbers of processes; mappings; a number, and runs of pages.
    printf '\0\x02\x08\x2a\x04\x08\x07\x10\x01' | seed tree
    printf '\x01\x16\x08\x01\x72\x09\x08\x80\x20\x10\x80\x40\x30\x22\x38\x01\x72\x00' | seed map
    printf '\x02\x02\x08\x05\x0a\x08\x80\x20\x10\0\x20\x06\x28\x03\0' | seed pages
    printf '\x03\0\x02\x01\x08\0\x01\x02\x04\x01\x01\x03\x01\x02\x06\x01\x04\x07' | seed memory
    { printf '\x04'; le 4 $((6 | 4 << 16)); le 4 0; le 8 3; le 8 4096; le 8 77; } | seed frame
    printf '\x05\x08\x96\x01\x12\x04\x08\x01\x15\x01\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08' | seed message
    { printf '\x06'; le 4 $((0x54564319)); le 4 $((0x50273030)); le 4 2; printf '\x08\x2a'; } | seed image
}

Descriptions_modules=1
Descriptions_sources() { :; }
Descriptions_seeds() {
    { printf '\0FLMD\x01\0\0\0'; le 4 1; le 4 0; le 8 4096; le 8 8192; le 8 0; le 8 4096; le 4 0; le 4 0; } | seed one
    { printf '\x01\x28\x02'; printf '\x01\x01\x10\0\x20\0\0\0\0\0\x01\x30\0\x20\0\x20\0\x01'; } | seed areas
    printf '\x03\x80\x20\x02\x06\x02\x01\x05' | seed trace
}

JSON_modules=1
JSON_sources() { echo Examples/LazyRestore/Sources/GuestRegions.swift; }
JSON_seeds() {
    local region='{"base_host_virt_addr":140000000000000,"size":4096,"offset":0,"page_size":4096}'
    printf '\0\0\x80[%s]' "$region" | seed one
    printf '\x01\x01\x40 [%s,%s]\n' "$region" "${region//4096,\"off/4096,\"page_size_kib\":4096,\"off}" | seed two
    printf '\x05\0\0\x03\x01\x02\0\x04\x01\x05\x02\x03\x01\0' | seed text
    printf '\x06\x05\x02\0\x01\x05\0\x01\0\x02\x05\0\x01\0\x03\x05\0\x01' | seed numbers
    printf '\x07"\\\\[]{}' | seed time
}

Requests_sources() {
    echo Examples/SnapshotServer/Sources/KeyValueStore/{RequestParser,Glob}.swift \
        Sources/FaultlineOperations/{HTTPRequestHead,HTTPAnswer}.swift
}
Requests_seeds() {
    printf '\0\x03*2\r\n$3\r\nGET\r\n$1\r\na\r\n*0\r\n*-1\r\nPING\r\n' | seed commands
    printf "\\x01\\x07set \"a b\\\\x41\\\\n\" 'it\\\\'s'\\r\\n" | seed line
    printf '\x78\x05\x02\x03a"b\x01\0' | seed words
    printf '\x96\x0ba*[^b-d]?\\*\x05a*cx*\x01b' | seed pattern
    printf '\xbe\xf0GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n' | seed head
    printf '\xf8\x01\x0b*1048576\r\n$0\r\n\r\n' | seed time
}

Stores_sources() { echo Examples/SnapshotServer/Sources/KeyValueStore/*.swift; }
Stores_seeds() {
    { printf '\0'; zeroes 16; le 8 8192; le 8 0; le 8 4; le 8 0; le 8 4160; zeroes 24; le 8 1; } | seed header
    printf '\x01\0\x01\x20\x01\0\x02\xf0\x04\x02\x01\0\0\x03\x02\x20\x02\x06\x03\x10\x01\x04\x04\x01\0\0' | seed dictionary
    { printf '\x02\x40\x08\x80\x40\0\x02\x05\x03\x06\x04\0\x05\x0a\x0f\x04\0\0\x08\x05\x02\x20\x01\x05\x01\x08\0\x02\x30\x02'
        printf '\0\x01\x20\x01\x02\x01\0\0\x03\x02\x20\x02\x07\0\0\0\x01*'; } | seed damaged
}
