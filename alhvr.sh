#!/usr/bin/env bash
# One entry for people: sets up .venv beside this file where that is still to be done, then runs what was asked for.
#
#   ./alhvr.sh demo                 play the whole story on generated scans, into demo/ (demo-2/ ...)
#   ./alhvr.sh check ...            find what is wrong with scans and labels before they cost a night
#   ./alhvr.sh train ...            train a model
#   ./alhvr.sh segment ...          segment scans; so with evaluate, describe, --help: these do without PyTorch
#   ./alhvr.sh test [OPTIONS]       run the tests; OPTIONS go to pytest
#   ./alhvr.sh install              set up for all of these but the tests, and do nothing more
#
# What is installed grows with what is asked for: the light set for segmenting first, PyTorch where training needs it.
# Works on Debian and Ubuntu with Python 3.11 or 3.12, as root or with sudo where a system package is missing.
# It speaks on stderr only, so that the output of a command can be piped.
set -euo pipefail

# The dependencies are listed in pyproject.toml. PyTorch alone is named here as well and installed first: so pip may
# take a small build of this release that the machine offers, and what follows does not fetch a newer one of gigabytes.
readonly torch="torch==2.13.0"
# The Slicer modules are tested on the core of Slicer's preview, named in pyproject.toml, and of its stable release.
# Tests of processes and files, to which the core makes no difference.
readonly same_everywhere=(child setup_part models trainer/test_{run_survives,detached_run,archive_results,project_session}.py)
readonly stable_slicer="slicer-core==5.12.4.0 vtk==9.6.0"
readonly root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly venv="$root/.venv"
readonly python="$venv/bin/python"

say() { printf 'alhvr.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# install_system_packages NAME...: with Debian's package manager.
install_system_packages() {
    local as_root=()
    command -v apt-get > /dev/null || fail "Missing: $*. There is no apt-get to install it with; install it by hand."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo > /dev/null || fail "Missing: $*. Ask an administrator for: apt-get install $*"
        as_root=(sudo)
    fi
    say "Installing $* with apt-get ..."
    "${as_root[@]}" apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

# find_python: prints the first Python that fits; 3.11 and 3.12 are tested, a newer one is taken where neither is there.
find_python() {
    local newest candidate
    for newest in 12 99; do
        for candidate in python3 /usr/bin/python3 python3.12 python3.11; do
            if "$candidate" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $newest))" 2> /dev/null
            then
                echo "$candidate"
                return
            fi
        done
    done
    return 1
}

make_venv() {
    local base
    if ! command -v python3 > /dev/null; then
        install_system_packages python3 python3-venv
    fi
    base="$(find_python)" || fail "Python 3.11 or 3.12 is needed; found: $(python3 --version 2>&1). Install python3.11."
    if ! "$base" -c "import ensurepip, venv" 2> /dev/null; then
        install_system_packages "$("$base" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "Making $venv with $("$base" --version) ..."
    "$base" -m venv --clear "$venv" >&2
}

# is_set_up WANTED SET...: whether one of the sets was installed from this very pyproject.toml, and still works.
is_set_up() {
    local wanted="$1" set
    for set in "${@:2}"; do
        if [ "$(cat "$venv/.set-up-$set" 2> /dev/null)" = "$wanted" ] && "$python" -c "" 2> /dev/null; then
            return 0
        fi
    done
    return 1
}

# set_up light|train|test: makes .venv complete for segmenting, for training too, or for testing too.
set_up() {
    local wanted extra="" enough=(light train test) options=(--disable-pip-version-check)
    if [ "$1" != light ]; then
        extra="[$1]"
        enough=("$1" test)
    fi
    wanted="$root $torch $(sha256sum < "$root/pyproject.toml")"
    exec 9< "$root"
    command -v flock > /dev/null && flock 9  # two set-ups at a time would spoil each other
    if ! is_set_up "$wanted" "${enough[@]}"; then
        "$python" -m pip --version > /dev/null 2>&1 || make_venv
        [ -t 2 ] || options+=(--quiet)
        if [ "$1" != light ] && ! "$python" -c "import torch" 2> /dev/null; then
            say "Installing $torch (200 MB, or a few GB where pip chooses the build for NVIDIA cards) ..."
            "$python" -m pip install "${options[@]}" "$torch" >&2
        fi
        say "Installing alhvr$extra with what it needs, from pyproject.toml ..."
        "$python" -m pip install "${options[@]}" --editable "$root$extra" >&2
        echo "$wanted" > "$venv/.set-up-$1"
    fi
    exec 9<&-
}

# set_up_test_tools: what draws the modules' views and panels without a screen, git, strace, and what DICOM is held against.
set_up_test_tools() {
    local libraries="libEGL.so.1 libGL.so.1 libxkbcommon.so.0 libdbus-1.so.3 libfontconfig.so.1 libX11.so.6 libglib-2.0.so.0"
    if ! "$python" -c "import ctypes, sys; [ctypes.CDLL(name) for name in sys.argv[1:]]" $libraries 2> /dev/null \
            || ! ls /usr/lib/*/dri/swrast_dri.so > /dev/null 2>&1 || ! ls /usr/share/fonts/*/*/*.ttf > /dev/null 2>&1; then
        install_system_packages libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxkbcommon0 libdbus-1-3 libfontconfig1 \
            libx11-6 libglib2.0-0 fonts-dejavu-core
    fi
    command -v git > /dev/null || install_system_packages git
    # What shows that no command looks anything up; there is none of it on some processors.
    command -v strace > /dev/null || install_system_packages strace || say "Without strace, the tests of privacy are skipped."
    command -v dciodvfy > /dev/null || install_system_packages dicom3tools \
        || say "Without dicom3tools, no validator looks at the DICOM files that are written."
    # Debian starts Orthanc's server when it is installed, where there is systemd; a test command must not leave one.
    if ! command -v Orthanc > /dev/null; then
        if [ -d /run/systemd/system ]; then
            say "Orthanc is not installed: the tests with a real DICOM archive are skipped. (apt-get install orthanc orthanc-dicomweb)"
        else
            install_system_packages orthanc orthanc-dicomweb || say "Without Orthanc, the tests with a DICOM archive are skipped."
        fi
    fi
}

# set_up_stable_slicer: the core of the stable release, beside .venv, for a second run of the modules' tests.
set_up_stable_slicer() {
    local folder="$root/.slicer-stable"
    if [ "$(cat "$folder/.set-up" 2> /dev/null)" != "$stable_slicer" ]; then
        say "Installing $stable_slicer for the tests ..."
        rm -rf "$folder"
        "$python" -m pip install --disable-pip-version-check --quiet --no-deps --target "$folder" $stable_slicer >&2
        echo "$stable_slicer" > "$folder/.set-up"
    fi
}

# run_tests [OPTIONS]: style first, so that pytest's summary is the last thing on the screen.
run_tests() {
    local status=0 jobs
    cd "$root"
    jobs="$(nproc)"
    say "Checking the style with ruff ..."
    "$python" -m ruff check . || status=1
    say "Running the tests with pytest, $((jobs < 4 ? jobs : 4)) at a time ..."
    # One thread each: several tests at a time are faster than several threads in one.
    OMP_NUM_THREADS=1 "$python" -m pytest --numprocesses "$((jobs < 4 ? jobs : 4))" "$@" || status=$?
    if [ $# -eq 0 ]; then
        say "Running the tests of the Slicer modules once more, on $stable_slicer ..."
        set_up_stable_slicer && OMP_NUM_THREADS=1 PYTHONPATH="$root/.slicer-stable" "$python" -m pytest \
            --numprocesses "$((jobs < 4 ? jobs : 4))" Testing/slicer_stand_in Testing/modules \
            "${same_everywhere[@]/#/--ignore=Testing/modules/}" || status=1
    fi
    return "$status"
}

# run_alhvr COMMAND ...: in the caller's folder; -P because that folder may hold one that is called alhvr too.
run_alhvr() { exec "$python" -P -m alhvr "$@"; }

# free_folder: prints demo, or the first of demo-2, demo-3 ... that is not there yet.
free_folder() {
    local name=demo number=1
    while [ -e "$name" ]; do
        number=$((number + 1))
        name="demo-$number"
    done
    echo "$name"
}

case "${1:-help}" in
    help | -h) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
    install)
        set_up train
        say "Everything is set up in $venv. Next: ./alhvr.sh demo"
        ;;
    test)
        set_up test
        set_up_test_tools
        run_tests "${@:2}"
        ;;
    demo)
        set_up train
        [ $# -gt 1 ] || set -- demo --out "$(free_folder)"
        run_alhvr "$@"
        ;;
    check | train)
        set_up train
        run_alhvr "$@"
        ;;
    *)
        set_up light
        run_alhvr "$@"
        ;;
esac
