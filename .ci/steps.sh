# The steps of .ci/run and .ci/full. A step that fails ends the script, which then says so in its last line.
export CI=true
unset PYTHONDONTWRITEBYTECODE # hundreds of processes would each compile what they import
export COVERAGE_FILE="$PWD/build/coverage/data"
rm -rf build/coverage
began=$SECONDS
current="starting"
trap 'code=$?; [ "$code" -eq 0 ] || echo "FAILED in \"$current\" after $((SECONDS - began)) s (exit code $code)"' EXIT

# The last "N passed" line of pytest is repeated at the very end, whatever came after it.
summary=""

step() {
    current=$1
    shift
    local start=$SECONDS
    printf '\n=== %s ===\n' "$current"
    "$@" </dev/null
    printf -- '--- %s: %d s\n' "$current" $((SECONDS - start))
}

finish() {
    printf '\nAll steps passed in %d s.\n' $((SECONDS - began))
    if [ -n "$summary" ]; then printf '%s\n' "$summary"; fi
}

install_system_packages() {
    local wanted=() program
    for pair in bwrap:bubblewrap chromium:chromium chromium-headless-shell:chromium-headless-shell espeak-ng:espeak-ng \
        faketime:faketime ffmpeg:ffmpeg git:git localc:libreoffice-calc loimpress:libreoffice-impress lowriter:libreoffice-writer \
        nginx:nginx-light node:nodejs npm:npm openssl:openssl pandoc:pandoc systemd-analyze:systemd tesseract:tesseract-ocr; do
        program=${pair%%:*}
        command -v "$program" >/dev/null || wanted+=("${pair##*:}")
    done
    if [ "${#wanted[@]}" -eq 0 ]; then
        echo "nothing is missing"
        return
    fi
    echo "installing: ${wanted[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
}

# The engine's package names optional builds for other machines that not every mirror has: `npm ci` refuses that,
# `npm install` leaves them out; both take the versions of the lock file.
install_node_packages() {
    npm ci --prefix tests/page --no-audit --no-fund --loglevel=error
    npm ci --prefix tests/mcp --no-audit --no-fund --loglevel=error
    npm install --prefix tests/engine --no-save --no-audit --no-fund --loglevel=error
    git diff --exit-code -- 'tests/*/package-lock.json'
}

run_tests() {
    local code=0
    mkdir -p build
    "$@" | tee build/last-run.txt || code=$?
    summary="${summary:+$summary$'\n'}$(grep -E '^(=+ )?[0-9]+ passed|[0-9]+ failed' build/last-run.txt | tail -n 1)"
    return "$code"
}

# A few tests that fail are run once more, one at a time: a machine that stalls for a second is no fault of the code.
# What passes then is named as unsteady, to be mended; more than ten, or one that fails again, fail the step.
tests() {
    run_tests "$@" && return
    local failed
    failed=$(grep -cE '^(FAILED|ERROR) ' build/last-run.txt || true)
    if [ "$failed" -eq 0 ] || [ "$failed" -gt 10 ]; then return 1; fi
    printf '\nOnce more, one at a time:\n'
    grep -E '^(FAILED|ERROR) ' build/last-run.txt | sed 's/^[A-Z]* /UNSTEADY? /'
    run_tests "$@" -n 0 --last-failed --last-failed-no-failures none
}

# Where it is asked for, every Python process that a command starts is measured as well: coverage's own start-up file
# sees the variable.
measured_tests() {
    if [ -n "${CI_COVERAGE-}" ]; then
        mkdir -p build/coverage
        local -x COVERAGE_PROCESS_START="$PWD/pyproject.toml"
    fi
    tests "$@"
}

report_coverage() {
    .venv/bin/python -m coverage combine --quiet build/coverage
    .venv/bin/python -m coverage report --fail-under=95
}

check_types() {
    .venv/bin/python -m mypy
    MYPYPATH=scripts .venv/bin/python -m mypy --strict scripts/*.py
    for server in mcp/*/server.py; do .venv/bin/python -m mypy "$server"; done
}

check_page() {
    npm --prefix tests/page run --silent types
    npm --prefix tests/page test
}

# The figures are a report; a program that crashes is a failure. `$1` is how many rounds.
benchmarks() {
    .venv/bin/python bench/startup.py --rounds "$1" --command ./launch.sh
    .venv/bin/python bench/page.py --rounds "$1"
    .venv/bin/python bench/documents.py --rounds "$1"
    .venv/bin/python bench/files.py --megabytes 64
    .venv/bin/python bench/backup.py --megabytes 128 --rounds "$1"
    if [ "$1" -gt 1 ]; then .venv/bin/python bench/guide.py; fi # the suite asks the same questions
    .venv/bin/python bench/audio.py
    .venv/bin/python bench/classifier.py
    .venv/bin/python bench/tool_servers.py --calls 100
    .venv/bin/python bench/vectors.py --short
    .venv/bin/python bench/vectors.py --short --postgres
    .venv/bin/python bench/storage.py --runs "$1" "${@:2}"
    .venv/bin/python bench/gateway.py --short
    .venv/bin/python bench/tracing.py --short
    .venv/bin/python bench/backends.py --short --compare
    .venv/bin/python bench/cluster.py --short
    .venv/bin/python bench/soak.py --seconds $((60 * $1))
}
