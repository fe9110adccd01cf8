#!/usr/bin/env bash
# All executions of two parties, memory orderings included: `models/loom.sh [test-name-part]`. OFFSPRING_MUTANT=<rule to break>.
# `--build FILE` makes the test binary and puts it there.
set -eu -o pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg models ${RUSTFLAGS:-}" OFFSPRING_MODEL=loom
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/models"
if [[ ${1:-} == --build ]]; then
    exe=$(cargo test --release --lib --features mutants --no-run 2>&1 | tee /dev/stderr | grep -oP 'Executable .*\(\K[^)]+')
    exec cp "$exe" "$2"
fi
exec cargo test --quiet --release --lib --features mutants -- "${1:-loom_}"
