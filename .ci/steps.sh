# Functions of .ci/run for its steps and its end. They count in `passed` and `failed`, and write failures to the
# directory `reports`.
# shellcheck shell=bash

# step <name> <seconds> <command> [<argument> …]: runs a command with a time limit. A step that reaches its limit counts
# as failed, although a slow machine may be the cause. `timeout -k` then exits with 124 or 137. 137 also follows a lack of
# memory. The printed processor time lacks that of processes that nobody waited for, such as stacks.
step() {
  local name=$1 limit=$2 begun=$SECONDS word=FAILED code took times="$reports/times.$BASHPID"
  shift 2
  printf '\n=== %s\n' "$name"
  # In a shell of its own, whose ended children are only those of the step, and not what runs beside it.
  (
    if [ "$(type -t "$1")" = function ]; then "$@"; else timeout -k 10 "$limit" "$@"; fi
    code=$?
    times >"$times"
    exit "$code"
  )
  code=$?
  took=$((SECONDS - begun))
  case $code in
    0) word=ok ;;
    124 | 137) [ "$took" -lt "$limit" ] || word="too slow to judge, ended at its limit of $limit s" ;;
  esac
  if [ "$code" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "step: $name: $word" >>"$reports/failures"; fi
  # The second line has the times of ended children, such as 1m2.345s: user and system.
  printf '=== %s: %s, %d s, %d s of CPU\n' "$name" "$word" "$took" \
    "$(awk -F '[ms ]+' 'NR == 2 { print int(60 * ($1 + $3) + $2 + $4) }' "$times")"
}

# Prints all failures again at the end, and exits.
finish() {
  [ ! -s "$reports/failures" ] || { printf '\nNot passed:\n' && cat "$reports/failures"; }
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}
