#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# word_count finds the same words as tr, sort and uniq do: sh word_count_test.sh PROGRAM

set -eu

program=$1
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Counts as the program should. Files with a zero byte are left out; awk ends a last line that does not end.
by_hand() {
  find "$1" -type f -exec grep -LaP '\x00' {} + | tr '\n' '\0' | xargs -0 -r awk 1 |
    tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2 | head -n 20
}

same_as_by_hand() {
  by_hand "$1" >"$scratch/expected"
  "$program" "$1" >"$scratch/said"
  diff "$scratch/expected" "$scratch/said"
}

mkdir -p "$scratch/texts/deeper" "$scratch/empty"
printf 'The cat and the hat' >"$scratch/texts/no_newline_at_the_end"
printf 'THE END.\nThe-cat_the2hat\n' >"$scratch/texts/deeper/capitals"
printf 'the\0the the the\n' >"$scratch/texts/no_text"
: >"$scratch/texts/nothing"
ln -s deeper/capitals "$scratch/texts/link"

same_as_by_hand "$scratch/texts"
grep -q '^ *5 the$' "$scratch/said"
same_as_by_hand "$scratch/empty"
same_as_by_hand /usr/include/c++
[ "$(wc -l <"$scratch/said")" -eq 20 ]

# A folder that is not there is told of.
status=0
"$program" "$scratch/nowhere" >"$scratch/said" 2>"$scratch/errors" || status=$?
[ "$status" -eq 1 ]
[ ! -s "$scratch/said" ]
grep -q '^word_count: .*No such file or directory' "$scratch/errors"
