#!/usr/bin/env bash
# Do the proofs notice? Each mutant (`mutant!("...")` in the source breaks one rule of the cores) is given to each of them, and a
# table says which one catches it. Fails if nobody catches a mutant. One build of each proof serves all mutants.
#
#   models/mutants.sh [--all] [--processes] [MUTANT...]
#
# The first catch ends it. Shuttle looks with the tests of what the mutant breaks, with more and more schedules; loom and spin
# first at what only they can see. With --all, shuttle and loom look with all their tests; with --processes the kill matrix and random death too (they take minutes for each mutant).
set -u
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
base=$CARGO_TARGET_DIR
log=$base/mutants
mkdir -p "$log"

all= processes=
[[ ${1:-} == --all ]] && all=1 && shift
[[ ${1:-} == --processes ]] && processes=1 && shift
mutants=("$@")
((${#mutants[@]})) || mapfile -t mutants < <(grep -rhoP 'mutant!\("\K[a-z-]+' src | sort -u)

# caught NAME SECONDS COMMAND...: says whether the command fails. One that takes too long has caught nothing.
caught() {
    local out=$log/$1.txt seconds=$2
    shift 2
    timeout --kill-after=5 "$seconds" "$@" >"$out" 2>&1
    case $? in
        0) echo '-'; return ;;
        124 | 137) echo 'timeout'; return ;;
    esac
    if grep -q '^error: could not compile' "$out"; then echo 'BROKEN'; else echo 'caught'; fi
}

# A test of processes: a build in a target folder of its own, for the features differ. A hang is a catch as well.
process() {
    local outcome
    outcome=$(CARGO_TARGET_DIR=$base/mutants-build OFFSPRING_MATRIX=first OFFSPRING_DEATHS=4000 OFFSPRING_MUTANT=$1 \
        caught "$1-$2" 400 cargo test --quiet --features mutants,kill-matrix --test "$2")
    echo "${outcome/timeout/caught}"
}

# The pool and parallel calls have no models: the case of the kill matrix that must notice.
matrix_case() {
    case $1 in
        pool-robbed-goes-on | pool-free-robbed) echo pool::taken_away ;;
        pool-unwatched-lives | pool-silent-birth | pool-always-final) echo pool::awaited ;;
        pool-early-look) echo pool_races::held_up ;;
        pool-free-in-ring | pool-any-generation | pool-silent-room) echo pool_races::rooms ;;
        pool-*) echo pool::alone ;;
        par-*) echo par::claims ;;
    esac
}

by_matrix() {
    OFFSPRING_MATRIX=first OFFSPRING_MUTANT=$1 caught "$1-matrix" 60 "$matrix" "$2"
}

# One build serves all of them. Without a mutant each case must pass.
build_matrix() {
    matrix=$(cargo test --no-run --message-format=json \
        --features mutants,kill-matrix --test kill_matrix 2>"$log/matrix-build.txt" |
        grep -oP '"executable":"\K[^"]*/kill_matrix-[^"]*') || exit 1
    # In pairs, as below.
    local status=0
    for mutant in "${mutants[@]}"; do matrix_case "$mutant"; done | sort -u |
        xargs -P 2 -I CASE env OFFSPRING_MATRIX=first OFFSPRING_MUTANT= timeout --kill-after=5 60 "$matrix" CASE >"$log/none-matrix.txt" 2>&1 || status=$?
    ((status == 0)) && return
    echo "the kill matrix fails without a mutant: see $log/none-matrix.txt" >&2
    exit 1
}

# One binary of each proof serves all mutants. A proof that fails anyway catches nothing.
for proof in loom shuttle; do
    models/$proof.sh --build "$log/$proof" || exit 1
    if [[ $(OFFSPRING_MUTANT= OFFSPRING_SCHEDULES=2 caught "none-$proof" 600 "$log/$proof" -q "${proof}_") != - ]]; then
        echo "models/$proof.sh fails without a mutant: see $log/none-$proof.txt" >&2
        exit 1
    fi
done

# Where neither can see it, spin's models can: the first has store buffers, the others search all of a shorter protocol.
by_spin() {
    case $1 in
        no-heavy-fence) models/run.sh NO_HEAVY_FENCE >"$log/$1-spin.txt" 2>&1 && echo caught || echo - ;;
        no-position-compare) models/run.sh NO_POSITION >"$log/$1-spin.txt" 2>&1 && echo caught || echo - ;;
        version-first) models/run.sh VERSION_FIRST >"$log/$1-spin.txt" 2>&1 && echo caught || echo - ;;
        *) echo 'not run' ;;
    esac
}

by_loom() {
    OFFSPRING_MUTANT=$1 caught "$1-loom" 120 "$log/loom" -q "loom_$2"
}

# The tests of what the mutant breaks, by name.
area() {
    [[ $all ]] && return
    case $1 in
        monitor-* | semaphore-* | version-first) echo semaphore ;;
        barrier-*) echo barrier ;;
        rw-*) echo rw_ ;;
        once-*) echo once ;;
        msg-*) echo bytes ;;
        work-*) echo work ;;
        cond-*) echo cond ;;
        event-*) echo event ;;
        dead-not-seen | relaxed-unlock) echo lock ;;
        *) ;;
    esac
}

# row MUTANT LOOM SHUTTLE SPIN MATRIX RANDOM
row() {
    printf '%-30s %-8s %-8s %-8s %-12s %s\n' "$@"
}

one_by_matrix() {
    local says
    says=$(by_matrix "$1" "$(matrix_case "$1")")
    row "$1" 'not run' 'not run' 'not run' "$says" 'not run'
    [[ $says == caught ]]
}

one_by_models() {
    local mutant=$1 part shuttle='not run' loom='not run' spin='not run' by_processes='not run' random='not run' schedules
    part=$(area "$mutant")
    # What one of the others alone can see need not go by shuttle.
    case $mutant in
        *relaxed*) loom=$(by_loom "$mutant" "$part") ;;
        *) spin=$(by_spin "$mutant") ;;
    esac
    for schedules in 2 10 50; do
        [[ $all || "$loom$shuttle$spin" != *caught* ]] || break
        shuttle=$(OFFSPRING_MUTANT=$mutant OFFSPRING_SCHEDULES=$schedules \
            caught "$mutant-shuttle" 240 "$log/shuttle" -q "shuttle_$part")
    done
    [[ $all || "$loom$shuttle$spin" != *caught* ]] && loom=$(by_loom "$mutant" "$part")
    if [[ $processes ]]; then
        by_processes=$(process "$mutant" kill_matrix)
        random=$(process "$mutant" random_death)
    fi
    row "$mutant" "$loom" "$shuttle" "$spin" "$by_processes" "$random"
    [[ "$loom$shuttle$by_processes$random" != *BROKEN* && "$loom$shuttle$spin$by_processes$random" == *caught* ]]
}

[[ " ${mutants[*]}" == *' pool-'* || " ${mutants[*]}" == *' par-'* ]] && build_matrix
survived=0
row mutant loom shuttle spin 'kill matrix' 'random death'
# Two at a time: a case of the matrix has one victim at a time, a model one thread.
under_way=0
for mutant in "${mutants[@]}"; do
    [[ $(matrix_case "$mutant") ]] || continue
    ((under_way < 2)) || { wait -n || survived=$((survived + 1)); under_way=$((under_way - 1)); }
    one_by_matrix "$mutant" &
    under_way=$((under_way + 1))
done
for mutant in "${mutants[@]}"; do
    [[ $(matrix_case "$mutant") ]] && continue
    ((under_way < 2)) || { wait -n || survived=$((survived + 1)); under_way=$((under_way - 1)); }
    one_by_models "$mutant" &
    under_way=$((under_way + 1))
done
for ((; under_way > 0; under_way--)); do wait -n || survived=$((survived + 1)); done
echo "$((${#mutants[@]} - survived)) passed, $survived failed"
((survived == 0))
