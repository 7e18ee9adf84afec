#!/usr/bin/env bash
# Checks the rules of the source that no compiler checks. Prints each violation as FILE:LINE: RULE: TEXT
# and exits 1 if there is any. `scripts/check.sh --self-test` shows that each rule finds its violation.
set -euo pipefail
script=$(realpath "${BASH_SOURCE[0]}")
cd "${CHECK_ROOT:-$(dirname "$script")/..}"

# Where `unsafe`, C and pointers may stand: folders end in a slash, files are named whole.
UNSAFE_ALLOWED=(
    Sources/Userfault/Internals/
    Sources/EventReactor/Libevent/
    Sources/EventReactor/Executor/
    Sources/Faultline/InThread/Internals/
    Sources/Faultline/Memory/Internals/
    Sources/FaultlineRemote/Internals/
    Sources/FaultlineTestKit/Internals/
)
MAX_LINES=400   # above it: split the file
WARN_LINES=200  # above it: a warning, nothing more

report() { # RULE, then lines FILE:LINE:TEXT on standard input
    local location line rule=$1
    while IFS= read -r line; do
        location=$(grep -oE '^[^:]*:[0-9]+' <<<"$line")
        printf '%s: %s: %s\n' "$location" "$rule" "${line#"$location":}"
    done
}

unsafe_allowed() {
    local entry
    for entry in "${UNSAFE_ALLOWED[@]}"; do
        case $entry in
            */) [[ $1 == "$entry"* ]] && return 0 ;;
            *) [[ $1 == "$entry" ]] && return 0 ;;
        esac
    done
    return 1
}

# Prints a Swift file as FILE:LINE:CODE, without comments and without the text of string literals.
code_of() {
    awk -v file="$1" '
        {
            line = $0
            quotes = gsub(/"""/, "\001", line)
            if (inside) {                       # within a literal of several lines
                if (quotes) { inside = 0; sub(/^[^\001]*\001/, "", line) } else line = ""
            } else if (quotes == 1) { inside = 1; sub(/\001.*/, "", line) }
            gsub(/\\"/, "", line)
            gsub(/"[^"]*"/, "\"\"", line)
            sub(/\/\/.*/, "", line)
            print file ":" NR ":" line
        }' "$1"
}

find_in_code() { # PATTERN: reads FILE:LINE:CODE
    grep -E -- "^[^:]*:[0-9]+:.*($1)" || true
}

check_unsafe() {
    local file=$1 code=$2
    unsafe_allowed "$file" && return 0
    sed -E 's/@unsafe\b//g' <<<"$code" | find_in_code '\bunsafe\b' \
        | report 'unsafe code outside the places it is allowed in'
    find_in_code '\bimport +(CChecksum|CInThread|CLibevent|CRelay|CUserfaultfd|Glibc|Musl|Foundation|Dispatch)\b' <<<"$code" \
        | report 'C or Foundation imported outside the places it is allowed in'
}

check_traps() {
    find_in_code '\bfatalError\(|\btry!|\bas!' <<<"$1" | report 'trap (throw an error, or state a precondition)'
}

# The thread sanitizer does not see Synchronization.Mutex under contention and reports races that are none.
check_locks() {
    find_in_code '\bMutex *[(<]' <<<"$1" | report 'Mutex (use Lock, which the thread sanitizer understands)'
}

check_globals() {
    find_in_code 'static var [^{]*$' <<<"$1" | report 'stored static variable (no global mutable state)'
    grep -E '^[^:]*:[0-9]+:((public|package|internal|private|fileprivate) )?var ' <<<"$1" \
        | grep -v '{' | report 'global variable (no global mutable state)' || true
}

# The proof that an unchecked conformance is right stands in a comment above the declaration.
check_unchecked_sendable() {
    awk -v file="$1" '
        /^[[:space:]]*\/\// { commented = 1; next }
        /^[[:space:]]*@[a-zA-Z(), ]*$/ { next }  # attributes may stand between the comment and the declaration
        /@unchecked Sendable/ && !commented { print file ":" NR ":" $0 }
        { commented = 0 }' "$1" | report '@unchecked Sendable without a comment above it that proves it'
}

check_length() {
    local lines
    lines=$(wc -l <"$1")
    if [ "$lines" -gt "$MAX_LINES" ]; then
        report "more than $MAX_LINES lines" <<<"$1:$lines: split it"
    elif [ "$lines" -gt "$WARN_LINES" ]; then
        printf '%s:%s: warning: more than %s lines\n' "$1" "$lines" "$WARN_LINES" >&2
    fi
}

each_file() { # FIND-EXPRESSION…: every file of the project but what was built
    find . \( -name .git -o -name '.build*' -o -path ./docs/site \) -prune -o -type f "$@" -print \
        | sed 's|^\./||' | sort
}

check_sources() {
    local file code
    while IFS= read -r file; do
        code=$(code_of "$file")
        check_unsafe "$file" "$code"
        check_traps "$code"
        check_globals "$code"
        check_locks "$code"
        check_unchecked_sendable "$file"
        check_length "$file"
    done < <(each_file -path './Sources/*' -name '*.swift')
    while IFS= read -r file; do
        check_locks "$(code_of "$file")"
    done < <(each_file -path './Tests/*' -name '*.swift')
}

# Rules for every text file. The patterns are split so that this file does not break its own rules.
check_texts() {
    local files
    mapfile -t files < <(each_file ! -name LICENSE ! -name '*.png')
    [ "${#files[@]}" -gt 0 ] || return 0
    grep -nIHE "\b(TO""DO|FIX""ME|XX""X)\b" "${files[@]}" | report 'left undone' || true
    grep -nIHE "(^|[^A-Za-z0-9_.~-])/(home|root|wo""rk|Users)/|/tmp/[a-z]/" "${files[@]}" \
        | report 'path of one machine' || true
    check_mentioned_documents "${files[@]}"
}

# A document that a text names must exist in the project.
check_mentioned_documents() {
    local known hit name
    known=$(each_file -name '*.md' | sed 's|.*/||' | sort -u)
    while IFS= read -r hit; do
        while IFS= read -r name; do
            grep -qxF -- "$name" <<<"$known" || report "names $name, which is not in the project" <<<"$hit"
        done < <(grep -oE '[A-Za-z0-9_-]+\.md\b' <<<"${hit#*:*:}" | sort -u)
    done < <(grep -nIHE '[A-Za-z0-9_-]+\.md\b' "$@" || true)
}

# The program in the README is the snippet that is built and run, without its comments.
check_readme_program() {
    [ -e Snippets/FirstHandler.swift ] || return 0
    awk '/^```swift$/ { inside = 1; next }
         /^```$/ { if (program ~ /import Faultline/) printf "%s", program; inside = 0; program = "" }
         inside { program = program $0 "\n" }' README.md \
        | diff -q - <(grep -v '^//' Snippets/FirstHandler.swift | sed '/./,$!d') >/dev/null \
        || report 'program differs from the snippet' <<<'README.md:1: make it Snippets/FirstHandler.swift'
}

# The tests that the answers in docs/faq.md name exist.
check_named_tests() {
    local name
    [ -e docs/faq.md ] || return 0
    while IFS= read -r name; do
        grep -rqF -- "$name" Tests || report 'names a test that is not there' <<<"docs/faq.md:1: $name"
    done < <(awk '/^Tests:/ { inside = 1 } /^$/ { inside = 0 } inside' docs/faq.md | tr '\n' ' ' \
        | grep -oE '`[^`]+`' | tr -d '`' | sort -u)
}

self_test() {
    local expected output missed=0
    root=$(mktemp -d)  # not local: the trap reads it
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root/Sources/Userfault/Internals" "$root/Sources/Faultline/Memory/Internals" "$root/Snippets"
    # What must be let through.
    printf '%s\n' 'import Glibc' 'let a = unsafe pointer.pointee' \
        | tee "$root/Sources/Userfault/Internals/Good.swift" >"$root/Sources/Faultline/Memory/Internals/Good.swift"
    printf '%s\n' '/// It is unsafe to call this; never fatalError(1) or x as! Y.' '@unsafe public func f() {' \
        'let s = "unsafe try! import Glibc"' 'let t = """' '    unsafe as! X' '    """' '}' \
        '// Proof: all its state is immutable.' '@safe' 'final class C: @unchecked Sendable {}' \
        'enum E { static var x: Int { 1 } }' >"$root/Sources/Faultline/Good.swift"
    printf '%s\n' '// A program.' '' 'import Faultline' >"$root/Snippets/FirstHandler.swift"
    printf '%s\n' '```swift' 'let package = 1' '```' '```swift' 'import Faultline' '```' >"$root/README.md"
    output=$(CHECK_ROOT="$root" "$BASH" "$script") || { printf 'self-test: false alarm:\n%s\n' "$output"; return 1; }
    # What must be found.
    printf '%s\n' 'import Glibc' 'let a = unsafe b' 'func f() { fatalError("x") }' 'let c = try! f()' \
        'let d = e as! F' 'public var g = 1' 'enum H { static var i = 2 }' 'class J: @unchecked Sendable {}' \
        '// TO''DO: rest' '// see /wo''rk/x' '// see nowhere''.md' 'let k = Mutex(0)' >"$root/Sources/Faultline/Bad.swift"
    printf '// %s\n' $(seq $((MAX_LINES + 1))) >"$root/Sources/Faultline/Long.swift"
    mkdir -p "$root/docs" "$root/Tests"
    printf '%s\n' 'Tests: `nobody''s`' >"$root/docs/faq.md"
    echo 'let b = 2' >>"$root/Snippets/FirstHandler.swift"
    output=$(CHECK_ROOT="$root" "$BASH" "$script") && { echo "self-test: nothing found"; return 1; }
    for expected in Bad.swift:{1,2,3,4,5,6,7,8,9,10,11,12}: Long.swift:$((MAX_LINES + 1)): README.md:1: faq.md:1:; do
        grep -qF "$expected" <<<"$output" || { printf 'self-test: missed %s\n' "$expected"; missed=1; }
    done
    [ "$missed" = 0 ] && echo "self-test: every rule finds its violation, and no other"
    return "$missed"
}

if [ "${1:-}" = --self-test ]; then self_test; exit; fi
violations=$(check_sources; check_texts; check_readme_program; check_named_tests)
if [ -n "$violations" ]; then
    printf '%s\n%s violations\n' "$violations" "$(wc -l <<<"$violations")"
    exit 1
fi
echo "The source keeps its rules."
