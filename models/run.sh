#!/bin/sh
# Checks the models with spin (Debian: apt-get install spin gcc). A line each: model, options, outcome, states, seconds.
# `ok` must find no error, `caught` must find one (a mutant). Exits 1 if any differs. About three minutes on two cores.
# Usage: models/run.sh [word that the line must contain]
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# one EXPECTED MODEL OPTION...
if [ "$1" = one ]; then
    expected=$2 model=$3
    shift 3
    defines=
    for option; do defines="$defines -D$option"; done
    start=$(date +%s)
    outcome=broken states=0
    cd "$work" && {
        # shellcheck disable=SC2086
        spin -a $defines "$here/$model.pml" >spin.out 2>&1 &&
            gcc -w -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=3500 -o pan pan.c &&
            timeout 240 ./pan -m1000000 >pan.out 2>&1
        if grep -q 'errors: 0' pan.out && ! grep -q -e 'max search depth too small' -e 'Search not completed' pan.out; then
            outcome=ok
        elif grep -q 'errors: [1-9]' pan.out && grep -q -e 'invalid end state' -e 'assertion violated' pan.out; then
            outcome=caught
        fi
        states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
    }
    line="model $model $*: $outcome, ${states:-0} states, $(($(date +%s) - start)) s"
    if [ "$outcome" = "$expected" ]; then echo "$line"; else echo "$line   FAILED: expected $expected"; fi
    exit 0
fi

export here
sed -e '/^#/d' -e '/^$/d' "$here/runs.txt" | grep -e "${1:-.}" |
    xargs -P2 -L1 sh "$0" one | tee "$work/lines"
failed=$(grep -c FAILED "$work/lines")
echo "$(($(wc -l <"$work/lines") - failed)) passed, $failed failed"
[ "$failed" -eq 0 ] && [ -s "$work/lines" ]
