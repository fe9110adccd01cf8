#!/usr/bin/env bash
# Random schedules of the real cores, with deaths: `models/shuttle.sh [test-name-part]`. A failure prints its schedule;
# `OFFSPRING_SCHEDULE=<that> models/shuttle.sh <test>` runs it again. OFFSPRING_SCHEDULES=<thousands for each test>,
# SHUTTLE_RANDOM_SEED=<seed>, OFFSPRING_MUTANT=<rule to break>.
set -eu
cd "$(dirname "$0")/.."
export RUSTFLAGS="--cfg shuttle ${RUSTFLAGS:-}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/shuttle"
exec cargo test --quiet --release --lib --features mutants -- "${1:-shuttle_}"
