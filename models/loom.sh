#!/usr/bin/env bash
# All executions of two parties, memory orderings included: `models/loom.sh [test-name-part]`. OFFSPRING_MUTANT=<rule to break>.
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom"
exec cargo test --quiet --release --lib --features mutants -- "${1:-loom_}"
