#!/bin/sh
# Portal's launcher: makes the environment in .venv when it is missing or out of date, then runs `portal`.
#   ./launch.sh up          start Portal
#   ./launch.sh test        run the test suite on all cores (what follows goes to pytest)
# Every other word goes to the `portal` command. A `.env` beside this file is read as settings.
set -eu

say() { printf 'launch.sh: %s\n' "$*" >&2; }
trap 'code=$?; [ "$code" -eq 0 ] || say "stopped before Portal was started (exit code $code)."' EXIT

self=$0
while [ -h "$self" ]; do
    target=$(readlink "$self")
    case $target in /*) self=$target ;; *) self=$(dirname "$self")/$target ;; esac
done
here=$(CDPATH='' cd -- "$(dirname "$self")" && pwd -P)
python=$here/.venv/bin/python

find_python() {
    for name in python3.13 python3.12 python3.11 python3 python3.14; do
        if "$name" -c 'import sys, tomllib; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    say "Portal needs Python 3.11 or newer, with all of its library (Debian's python3-minimal has a part of it), and none was found. On Debian or Ubuntu: apt install python3 python3-venv"
    return 1
}

# A copy of the lock file inside .venv says what is installed there; it is written last.
is_installed() { cmp -s "$here/requirements/$1.lock" "$here/.venv/.portal/$1.lock"; }

is_ready() {
    [ -x "$python" ] && is_installed "$1" || return 1
    [ -f "$here/.extras" ] || return 0
    while read -r extra; do
        [ ! -f "$here/requirements/extra-$extra.lock" ] || is_installed "extra-$extra" || return 1
    done <"$here/.extras"
}

export PORTAL_ENV_FILE="${PORTAL_ENV_FILE:-$here/.env}"
kind=core
[ "${1:-}" != test ] || kind=test
if ! is_ready "$kind"; then
    base=$(find_python)
    exec "$base" -E -s "$here/scripts/bootstrap.py" "$kind" /bin/sh "$0" "$@" # which runs this again at its end
fi
if [ "$kind" = test ]; then
    shift
    cd "$here"
    exec "$python" -m pytest -n logical --maxprocesses 4 --dist loadfile "$@" # -n 0: all in one process
fi
[ "$#" -gt 0 ] || set -- --help
exec "$python" -I -m portal --called-as "$0" "$@"
