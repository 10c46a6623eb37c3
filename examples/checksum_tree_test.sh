#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
#
# checksum_tree says what coreutils' cksum says: sh checksum_tree_test.sh PROGRAM

set -eu

program=$1
export LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

same_as_cksum() {
  find "$1" -type f -exec cksum {} + | sort >"$scratch/expected"
  "$program" "$1" >"$scratch/unsorted"
  sort "$scratch/unsorted" >"$scratch/said"
  cmp "$scratch/expected" "$scratch/said"
}

tree=$scratch/tree
mkdir -p "$tree/deeper/folder" "$tree/empty folder"
: >"$tree/empty"
printf 'a' >"$tree/one byte"
printf '\377\0\n' >"$tree/deeper/-binary"
head -c 65536 /dev/zero >"$tree/deeper/as long as the buffer"
head -c 65537 /dev/zero >"$tree/deeper/folder/a byte longer"
printf 'ü' >"$tree/deeper/folder/ümläut"
ln -s 'one byte' "$tree/link"
ln -s nowhere "$tree/broken link"
mkfifo "$tree/fifo"

same_as_cksum "$tree"
[ "$(wc -l <"$scratch/said")" -eq 6 ]
same_as_cksum "$tree/empty folder"
same_as_cksum /usr/include

# What cannot be read is told of, as cksum does, and the rest is still there. Root may read everything, so it tries as
# somebody else, who has to be let into the folders.
chmod 755 "$scratch" "$tree" "$tree/deeper" "$tree/deeper/folder"
chmod 0 "$tree/empty" "$tree/empty folder"
cp "$program" "$scratch/program"
as_somebody() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi
}
status=0
as_somebody "$scratch/program" "$tree" >"$scratch/said" 2>"$scratch/errors" || status=$?
chmod 755 "$tree/empty" "$tree/empty folder"
[ "$status" -eq 1 ]
[ "$(cat "$scratch/errors")" = "checksum_tree: $tree/empty: Permission denied" ]
[ "$(wc -l <"$scratch/said")" -eq 5 ]

# A folder that is not there is told of.
status=0
"$program" "$scratch/nowhere" >"$scratch/said" 2>"$scratch/errors" || status=$?
[ "$status" -eq 1 ]
[ ! -s "$scratch/said" ]
grep -q '^checksum_tree: .*No such file or directory' "$scratch/errors"
