import { directoryBytes, keptBytes } from "./exec-answer.ts";

/**
 * What starts, keeps and reads commands inside a container. It takes a shell, `setsid`, `truncate`, `head` and `dd` of
 * the image (coreutils and util-linux, or busybox). The texts are fixed: what a user wrote comes by standard input alone and
 * is never part of a script. A command outlives the stream that started it.
 */

/** How the scripts below end when they did not do what they were asked. */
export const exitCodes = { noPlace: 70, noTools: 71, cutOff: 72, unknown: 66 } as const;

/**
 * The command writes into a file, so that what is left behind with the file open holds up nobody; once a second it is cut
 * where it has become much longer. `<base> <id> <seconds> <bytes of the input> <bytes of the directory> <number of variables> <bytes of each …> <bytes of
 * each word …>`. The input is all of these one after the other, then what the command reads. Of one id only the first
 * makes the directory.
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
({ [ -z "$directory" ] || cd "$directory"; } && exec setsid "$@") <&3 >>"$place/stdout" 2>>"$place/stderr" &
child=$!
echo "$child" >"$place/pid"
setsid sh -c '
while sleep 1 && [ ! -e "$2/ended" ]; do
  for file in "$2/stdout" "$2/stderr"; do
    [ "$(wc -c <"$file")" -gt ${8 * keptBytes} ] && truncate -s ${keptBytes + 1} "$file"
  done
done &
sleep "$1"
[ -e "$2/ended" ] && exit
: >"$2/late"
kill -9 "-$3"' sh "$limit" "$place" "$child" 3<&- &
watch=$!
wait "$child"
code=$?
kill -9 "-$watch" || kill -9 "$watch"
[ -e "$place/late" ] && code=124
rm -f "$place/input"
echo "$code" >"$place/end"
mv "$place/end" "$place/ended"
SUPERVISOR
)
setsid sh -c "$supervisor" sh "$place" "$limit" "$directory" "$@" </dev/null >/dev/null 2>&1 &
`;

/**
 * `<base> <id> <tenths of a second>`: waits for the end of a command and tells on a first line its exit code, or `-`,
 * whether it was late, and how many bytes of a directory follow; after these what it wrote.
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

/** `<base>`: tells how many commands run. */
export const countScript = `
count=0
for place in "$1"/*/; do
  [ -e "$place/input" ] && [ ! -e "$place/ended" ] && count=$((count + 1))
done
echo "$count"
`;
