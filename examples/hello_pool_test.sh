#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# hello_pool says the squares and finds the prime: sh hello_pool_test.sh PROGRAM

set -eu

said=$("$1")
[ "$said" = "1 4 9 16 prime" ] || { echo "said: $said" >&2; exit 1; }
