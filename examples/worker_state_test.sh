#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# worker_state counts the primes, builds one sieve in each worker, and knows Morse code: sh worker_state_test.sh PROGRAM

set -eu

expected='664579 primes below ten million
built 1 time
built 1 time
.--. .-. --- -.-. .--. --- --- .-..
.- .-.. ... ---
.-- --- .-. -.- ...
.- ...
.-
-.-. .-.. --- -.-. -.-'
said=$("$1")
[ "$said" = "$expected" ] || { printf 'expected:\n%s\nsaid:\n%s\n' "$expected" "$said" >&2; exit 1; }
