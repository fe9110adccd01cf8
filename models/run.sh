#!/bin/sh
# Checks the models with spin (Debian: apt-get install spin gcc). A line each, in the order of runs.txt: model, options, outcome, states,
# seconds of CPU. `ok` must search everything and find no error, `caught` must find one (a mutant). Exits 1 if any differs.
# Usage: models/run.sh [pattern that the line must contain]
here=$(cd "$(dirname "$0")" && pwd)

# one NUMBER EXPECTED MODEL OPTION...
if [ "$1" = one ]; then
    number=$2 expected=$3 model=$4
    shift 4
    defines=
    for option; do defines="$defines -D$option"; done
    outcome=broken states=0
    mkdir "$work/$number" && cd "$work/$number" && {
        # The generated moves are one huge function, dear to optimise. States that are hashed instead of stored could hide an
        # error, but not invent one: good enough to catch a mutant, and faster.
        case $expected in
            ok) flags="-O1 -DCOLLAPSE" ;;
            *) flags="-O0 -DHC4" ;;
        esac
        # shellcheck disable=SC2086
        spin -a $defines "$here/$model.pml" >spin.out 2>&1 &&
            sed -i 's/^new_state(void)$/__attribute__((optimize("O0"))) new_state(void)/' pan.c &&
            sed -i 's/^settable(void)/__attribute__((optimize("O0"))) settable(void)/' pan.t &&
            gcc -w $flags -DSAFETY -DVECTORSZ=1024 -DMEMLIM=3500 -o pan pan.c &&
            (ulimit -t 100 && exec ./pan -m1000000) >pan.out 2>&1
        if grep -q 'errors: 0' pan.out && ! grep -q -e 'max search depth too small' -e 'Search not completed' pan.out; then
            outcome=ok
        elif grep -q 'errors: [1-9]' pan.out && grep -q -e 'invalid end state' -e 'assertion violated' pan.out; then
            outcome=caught
        fi
        states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
    }
    times >times.out
    cpu=$(sed -n '2s/\([0-9]*\)m\([0-9.]*\)s .*/\1 \2/p' times.out | awk '{ print 60 * $1 + $2 }')
    line="model $model $*: $outcome, ${states:-0} states, ${cpu:-?} s"
    [ "$outcome" = "$expected" ] || line="$line   FAILED: expected $expected"
    rm -f pan pan.?
    echo "$line" >"$work/line.tmp.$number" && mv "$work/line.tmp.$number" "$work/line.$number"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'kill "$workers" 2>/dev/null; exit 1' INT TERM
export here work
sed -e '/^#/d' -e '/^$/d' "$here/runs.txt" | grep -e "${1:-.}" | cat -n >"$work/runs"
xargs -P2 -L1 sh "$0" one <"$work/runs" &
workers=$!
count=$(wc -l <"$work/runs") number=1 failed=0
while [ "$number" -le "$count" ]; do
    running=$(kill -0 "$workers" 2>/dev/null && echo yes)
    if [ -f "$work/line.$number" ]; then
        cat "$work/line.$number"
        ! grep -q FAILED "$work/line.$number" || failed=$((failed + 1))
        number=$((number + 1))
    elif [ "$running" ]; then
        sleep 0.2
    else
        sed -n "${number}s/^[ 0-9]*/no outcome   FAILED: /p" "$work/runs"
        failed=$((failed + 1)) number=$((number + 1))
    fi
done
wait "$workers" || failed=$((failed + 1))
times >"$work/times"
echo "$((count - failed)) passed, $failed failed; CPU of all (user, system): $(sed -n 2p "$work/times")"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
