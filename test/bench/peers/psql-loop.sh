#!/bin/sh
# What a shell loop does for one tenant: psql asks what is applied, then runs each file that lacks.
# usage: psql-loop.sh URL FOLDER
set -eu
applied=$(psql -XAtq "$1" -c 'select name from schema_history order by name collate "C"')
for file in $(ls "$2" | { printf '%s\n' "$applied" | LC_ALL=C comm -13 - /dev/fd/3; } 3<&0); do
  psql -Xq1 -v ON_ERROR_STOP=1 "$1" -f "$2/$file" -c "insert into schema_history (name) values ('$file')"
done
