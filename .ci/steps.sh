# Functions of .ci/run for its steps and its end. They count in `passed` and `failed`, and write failures to the
# directory `reports`.
# shellcheck shell=bash

# step <name> <seconds> <command> [<argument> …]: runs a command with a time limit. A step that reaches its limit counts
# as failed, although a slow machine may be the cause. `timeout -k` then exits with 124 or 137. 137 also follows a lack of
# memory. The printed processor time lacks that of processes that nobody waited for, such as stacks.
step() {
  local name=$1 limit=$2 begun=$SECONDS word=FAILED code took cpu_before
  shift 2
  read_cpu
  cpu_before=$cpu
  printf '\n=== %s\n' "$name"
  if [ "$(type -t "$1")" = function ]; then "$@"; else timeout -k 10 "$limit" "$@"; fi
  code=$?
  took=$((SECONDS - begun))
  case $code in
    0) word=ok ;;
    124 | 137) [ "$took" -lt "$limit" ] || word="too slow to judge, ended at its limit of $limit s" ;;
  esac
  if [ "$code" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "step: $name: $word" >>"$reports/failures"; fi
  read_cpu
  printf '=== %s: %s, %d s, %d s of CPU\n' "$name" "$word" "$took" $((cpu - cpu_before))
}

# Sets `cpu` to the processor time of ended children, in seconds. A subshell would print its own children's.
read_cpu() {
  local times file="$reports/times.$BASHPID"
  times >"$file"
  mapfile -t times <"$file"
  # Two times such as 1m2.345s: user and system.
  cpu="$(awk -F '[ms ]+' '{ print int(60 * ($1 + $3) + $2 + $4) }' <<<"${times[1]}")"
}

# Prints all failures again at the end, and exits.
finish() {
  [ ! -s "$reports/failures" ] || { printf '\nNot passed:\n' && cat "$reports/failures"; }
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}
