#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# survive_a_crash loses the items that crash, and no other: sh survive_a_crash_test.sh PROGRAM

set -eu

ulimit -c 0
# AddressSanitizer would turn the signal into an exit status.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0"

expected='item  17: worker PID was killed by signal 11
item 101: no square for 101
item 202: worker PID exited with status 3
item 267: worker PID was killed by signal 11
item 351: no square for 351
item 452: worker PID exited with status 3
item 517: worker PID was killed by signal 11
item 601: no square for 601
item 702: worker PID exited with status 3
item 767: worker PID was killed by signal 11
item 851: no square for 851
item 952: worker PID exited with status 3
988 items lived; the sum of their squares is 329043324'
said=$("$1" | sed 's/worker [1-9][0-9]*/worker PID/')
[ "$said" = "$expected" ] || { printf 'expected:\n%s\nsaid:\n%s\n' "$expected" "$said" >&2; exit 1; }
