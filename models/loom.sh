#!/usr/bin/env bash
# All executions of two parties, memory orderings included: `models/loom.sh [test-name-part]`. OFFSPRING_MUTANT=<rule to break>.
# `--build FILE` makes the test binary and puts it there.
set -eu -o pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --build ]]; then
    exe=$(cargo test --release -p offspring-models --features loom,mutants --no-run 2>&1 | tee >(cat >&2) | grep -oP 'Executable .*\(\K[^)]+')
    exec cp "$exe" "$2"
fi
exec cargo test --quiet --release -p offspring-models --features loom,mutants -- "${1:-loom_}"
