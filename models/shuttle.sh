#!/usr/bin/env bash
# Random schedules of the real cores, with deaths: `models/shuttle.sh [test-name-part]`. A failure prints its schedule;
# `OFFSPRING_SCHEDULE=<that> models/shuttle.sh <test>` runs it again. OFFSPRING_SCHEDULES=<thousands for each test>,
# SHUTTLE_RANDOM_SEED=<seed>, OFFSPRING_MUTANT=<rule to break>. `--build FILE` makes the test binary and puts it there.
set -eu -o pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --build ]]; then
    exe=$(cargo test --release -p offspring-models --features shuttle,mutants --no-run 2>&1 | tee >(cat >&2) | grep -oP 'Executable .*\(\K[^)]+')
    exec cp "$exe" "$2"
fi
exec cargo test --quiet --release -p offspring-models --features shuttle,mutants -- "${1:-shuttle_}"
