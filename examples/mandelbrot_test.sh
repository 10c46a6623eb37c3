#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# mandelbrot draws the picture that the README shows: sh mandelbrot_test.sh PROGRAM

set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$1" "$scratch/picture.png"

bytes() { od -An -v -tx1 -j"$1" -N"$2" "$scratch/picture.png" | tr -d ' \n'; }
[ "$(bytes 0 8)" = 89504e470d0a1a0a ]                      # the signature of PNG
[ "$(bytes 16 10)" = "$(printf '%08x%08x0802' 800 450)" ]  # width, height, eight bits each of red, green and blue

# A picture with so much detail is large, and one that the README shows may not be too large.
size=$(wc -c <"$scratch/picture.png")
[ "$size" -gt 200000 ] && [ "$size" -lt 300000 ]

# A file that cannot be written is told of.
if "$1" "$scratch/no/such/folder.png" 2>"$scratch/error"; then exit 1; fi
grep -q '^mandelbrot: .*/no/such/folder.png: ' "$scratch/error"
