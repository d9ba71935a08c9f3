import type { ExecStatus } from "#core/ports/exec.ts";

/** Limit of each stream in an answer. One byte more shows that there was more. */
const keptBytes = 1024 * 1024;
/** Longest path in Linux. The command owns the file that names its directory, and may fill it. */
const directoryBytes = 4096;
export const answerBytes = 2 * (keptBytes + 1) + directoryBytes + 1024;

/**
 * Scripts that start and read commands inside a container. They need a shell and coreutils with util-linux, or busybox.
 * Users' text arrives on standard input only and is never part of a script.
 */

/** Exit codes of the scripts when they fail. */
export const exitCodes = { noPlace: 70, noTools: 71, cutOff: 72, unknown: 66 } as const;

/**
 * Starts a command: `<base> <id> <seconds> <bytes of the input> <bytes of the directory> <number of variables> <bytes
 * of each …> <bytes of each word …>`. Standard input holds these values in order, then the command's input. Only the
 * first call with an id creates the directory. Output goes to files that are truncated once a second. What limits
 * the command is started first, and its end needs no new process, because it may use up all that its container may have.
 */
export const startScript = `
base=$1 place=$1/$2 limit=$3 total=$4
shift 4
umask 077
for tool in setsid truncate head dd wc cat sleep; do command -v $tool >/dev/null || exit ${exitCodes.noTools}; done
mkdir -p "$base" || exit ${exitCodes.noPlace}
mkdir "$place" 2>/dev/null || { [ -d "$place" ] && exit 0; exit ${exitCodes.noPlace}; }
cat >"$place/input"
[ "$(wc -c <"$place/input")" -eq "$total" ] || { rm -rf "$place"; exit ${exitCodes.cutOff}; }
exec 3<"$place/input"
take() { piece=$(dd bs=1 count="$1" <&3 2>/dev/null; printf x); piece=\${piece%x}; }
take "$1"; directory=$piece; shift
variables=$1; shift
while [ "$variables" -gt 0 ]; do take "$1"; export "$piece"; shift; variables=$((variables - 1)); done
words=$#
while [ "$words" -gt 0 ]; do take "$1"; set -- "$@" "$piece"; shift; words=$((words - 1)); done
supervisor=$(cat <<'SUPERVISOR'
place=$1 limit=$2 directory=$3
shift 3
export BERTH_DIRECTORY_FILE="$place/directory"
: >"$place/stdout"
: >"$place/stderr"
setsid sh -c '
while sleep 1 && [ ! -e "$2/ended" ]; do
  for file in "$2/stdout" "$2/stderr"; do
    [ "$(wc -c <"$file")" -gt ${8 * keptBytes} ] && truncate -s ${keptBytes + 1} "$file"
  done
done &
sleep "$1"
[ -e "$2/ended" ] && exit
: >"$2/late"
read -r child <"$2/pid"
kill -9 "-$child"' sh "$limit" "$place" 3<&- &
watch=$!
({ [ -z "$directory" ] || cd "$directory"; } && exec setsid "$@") <&3 >>"$place/stdout" 2>>"$place/stderr" &
child=$!
echo "$child" >"$place/pid"
wait "$child"
code=$?
kill -9 "-$watch" || kill -9 "$watch"
[ -e "$place/late" ] && code=124
: >"$place/input"
echo "$code" >"$place/end"
exec mv "$place/end" "$place/ended"
SUPERVISOR
)
setsid sh -c "$supervisor" sh "$place" "$limit" "$directory" "$@" </dev/null >/dev/null 2>&1 &
`;

/**
 * Reads a command: `<base> <id> <tenths of a second>`. Waits for its end. Prints the exit code or `-`, 1 if it was
 * late, and the length of the directory; then the directory and the output.
 */
export const readScript = `
place=$1/$2
[ -d "$place" ] || exit ${exitCodes.unknown}
tries=$3
while [ "$tries" -gt 0 ] && [ ! -e "$place/ended" ]; do sleep 0.1; tries=$((tries - 1)); done
code=-
[ -e "$place/ended" ] && code=$(cat "$place/ended")
late=0
[ -e "$place/late" ] && late=1
size=0
[ "$code" != - ] && [ -s "$place/directory" ] && size=$(($(head -c ${directoryBytes} "$place/directory" | wc -c)))
echo "$code $late $size"
[ "$size" -gt 0 ] && head -c "$size" "$place/directory"
[ -e "$place/stdout" ] && head -c ${keptBytes + 1} "$place/stdout"
[ -e "$place/stderr" ] && head -c ${keptBytes + 1} "$place/stderr" >&2
exit 0
`;

/** Prints the number of running commands: `<base>`. */
export const countScript = `
count=0
for place in "$1"/*/; do
  [ -e "$place/input" ] && [ ! -e "$place/ended" ] && count=$((count + 1))
done
echo "$count"
`;

export interface ExecAnswer {
  /** null while the command runs. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly directory: string;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export function toExecStatus({ exitCode, timedOut, directory, stdout, stderr }: ExecAnswer): ExecStatus {
  return {
    state: exitCode === null ? "running" : "ended",
    exitCode,
    timedOut,
    stdout: getFirst(stdout),
    stderr: getFirst(stderr),
    stdoutCut: stdout.length > keptBytes,
    stderrCut: stderr.length > keptBytes,
    directory: directory.startsWith("/") ? directory : null,
  };
}

/** Decodes the kept bytes, without a partial character at the end. */
function getFirst(bytes: Buffer): string {
  if (bytes.length <= keptBytes) return bytes.toString();
  let end = keptBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}
