# Sourced by .ci/run: a step of the check, and its end. They count in `passed` and `failed`, and note in the directory
# `reports` what has not passed.
# shellcheck shell=bash

# step <name> <seconds it may take> <command> [<argument> …]. One that its limit ended has not passed either, but nothing
# was found wrong: a slow machine does that too. 137 is what `timeout -k` ends with, and a command that ran out of memory.
step() {
  local name=$1 limit=$2 begun=$SECONDS word=FAILED code took
  shift 2
  printf '\n=== %s\n' "$name"
  if [ "$(type -t "$1")" = function ]; then "$@"; else timeout -k 10 "$limit" "$@"; fi
  code=$?
  took=$((SECONDS - begun))
  case $code in
    0) word=ok ;;
    124 | 137) [ "$took" -lt "$limit" ] || word="too slow to judge, ended at its limit of $limit s" ;;
  esac
  if [ "$code" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "step: $name: $word" >>"$reports/failures"; fi
  printf '=== %s: %s, %d s\n' "$name" "$word" "$took"
}

# What has not passed is said once more at the end, where whoever reads only that finds it.
finish() {
  [ ! -s "$reports/failures" ] || { printf '\nNot passed:\n' && cat "$reports/failures"; }
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}
