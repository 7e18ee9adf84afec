#!/usr/bin/env bash
# Makes sure that what the build needs is there: a Swift toolchain, and libevent's headers.
# Installs libevent-dev where it is missing and may be installed; otherwise says what to do.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

have_libevent() {
    if command -v pkg-config >/dev/null && pkg-config --exists libevent_core; then return 0; fi
    local root
    for root in /usr/include /usr/local/include; do
        if [ -e "$root/event2/event.h" ]; then return 0; fi
    done
    return 1
}

install_with() {
    say "libevent-dev is missing: installing it"
    "$@" apt-get update -qq && "$@" apt-get install -y -qq --no-install-recommends libevent-dev
}

if [ "$(uname -s)" != Linux ]; then
    say "Faultline needs Linux: userfaultfd is an interface of the Linux kernel."
    exit 1
fi
if ! command -v "${SWIFT:-swift}" >/dev/null; then
    say "There is no '${SWIFT:-swift}' on the PATH. Install a Swift toolchain, 6.2 or later: https://www.swift.org/install/linux/"
    exit 1
fi
if have_libevent; then exit 0; fi

advice="Install libevent's headers and try again: the package is libevent-dev on Debian and Ubuntu (apt-get install libevent-dev, as root), libevent-devel on Fedora."
if ! command -v apt-get >/dev/null; then
    say "libevent's headers are missing, and this system has no apt-get. $advice"
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    install_with env || { say "Installing libevent-dev failed. $advice"; exit 1; }
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    install_with sudo -n env DEBIAN_FRONTEND=noninteractive || { say "Installing libevent-dev failed. $advice"; exit 1; }
else
    say "libevent's headers are missing, and this user may not install packages without a password. $advice"
    exit 1
fi
have_libevent || { say "libevent-dev was installed, but event2/event.h is not where it is looked for. $advice"; exit 1; }
