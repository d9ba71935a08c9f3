import { shellWord } from "../terminal/text.ts";

/** Where a run keeps its files in the job, as the job's shells see it. The id is ours: 8 hexadecimal digits. */
function runDirectory(id: string): string {
  return `"\${WORKSPACE:-$HOME}/.berth-run/${id}"`;
}

/** Seconds for which an ended command waits to be read before the job ends by itself. */
const graceSeconds = 600;

/** The first line of every answer. The reader skips the output of the login before it. */
export function startMark(id: string): string {
  return `berth-run ${id}`;
}

/**
 * Returns the command of the job: it waits for the files of the directory, then becomes the script that starts the
 * user's command. The user's command is in it as a word that does nothing, for `berth show`.
 */
export function waitingCommand(id: string, command: string): string {
  const shown = command.length > 150 ? `${command.slice(0, 150)}…` : command;
  return `: ${shellWord(shown)}; berth_run=${runDirectory(id)}; until [ -e "$berth_run/go" ]; do sleep 1; done; exec sh "$berth_run/go"`;
}

/**
 * Returns the script that creates the directories. It prints their root, whether the command was started, and whether
 * rsync is installed.
 */
export function probeScript(id: string, directory: string): string {
  return `berth_work="\${WORKSPACE:-$HOME}"; berth_run=${runDirectory(id)}
mkdir -p "$berth_run" "$berth_work/${directory}" || exit 1
echo; echo "${startMark(id)}"; echo "$berth_work"
if [ -e "$berth_run/go" ]; then echo started; else echo new; fi
if command -v rsync >/dev/null 2>&1; then echo rsync; else echo tar; fi`;
}

/** Returns the script that unpacks a tar stream into the directory of the run. */
export function unpackScript(directory: string): string {
  return `tar -xof - -C "\${WORKSPACE:-$HOME}/${directory}"`;
}

/** Returns the script that packs the paths in its arguments. */
export function packScript(directory: string): string {
  return `cd "\${WORKSPACE:-$HOME}/${directory}" && tar -cf - -- "$@"`;
}

/** Returns the script that prints \`y\` or \`n\` for each path in its arguments: whether it exists. */
export function existScript(id: string, directory: string): string {
  return `echo; echo "${startMark(id)}"; cd "\${WORKSPACE:-$HOME}/${directory}" || exit 1
for p; do if [ -e "$p" ] || [ -L "$p" ]; then echo y; else echo n; fi; done`;
}

/**
 * Returns the script that stores its input as the script \`go\`, unless there is one: the command starts once. A cut
 * connection looks like the end of the input, so the input must have all its bytes.
 */
export function startScript(id: string, goText: string): string {
  const isWhole = `[ $(($(wc -c <"$berth_run/go.$$"))) -eq ${Buffer.byteLength(goText)} ]`;
  return `berth_run=${runDirectory(id)}; [ -e "$berth_run/go" ] || { cat >"$berth_run/go.$$" && ${isWhole} && mv "$berth_run/go.$$" "$berth_run/go"; }`;
}

/** Returns the script that lets the job end. */
export function releaseScript(id: string): string {
  return `: >${runDirectory(id)}/release`;
}

interface GoOptions {
  readonly id: string;
  readonly directory: string;
  readonly command: string;
  /** The job stays until its time is over, so that files can be fetched. */
  readonly stays: boolean;
}

/**
 * Returns the script that runs the command. The script's own variables have names that no user
 * chooses, because a shell exports each variable that was in its environment. Files and the job's log get the outputs
 * and the exit code.
 */
export function goScript({ id, directory, command, stays }: GoOptions): string {
  return `berth_work="\${WORKSPACE:-$HOME}"; berth_run=${runDirectory(id)}
cd "$berth_work/${directory}" || exit 255
: >"$berth_run/err" && : >"$berth_run/out" || exit 255
follow() {
${followBody("")}
}
(follow 0 0) &
berth_log=$!
berth_shell=\${SHELL:-/bin/sh}; command -v "$berth_shell" >/dev/null 2>&1 || berth_shell=/bin/sh
"$berth_shell" -c ${shellWord(command)} </dev/null >"$berth_run/out" 2>"$berth_run/err"
code=$?
echo "$code" >"$berth_run/code.new" && mv "$berth_run/code.new" "$berth_run/code"
wait "$berth_log"
i=0
until [ -e "$berth_run/release" ] || [ "$i" -ge ${stays ? 100_000_000 : graceSeconds} ]; do sleep 1; i=$((i+1)); done
rm -rf "$berth_run"
exit "$code"
`;
}

/**
 * Returns the script that follows the outputs of the command from two offsets, in frames: \`o 5\` and \`e 5\` come
 * before 5 bytes of an output, \`k\` is a sign of life, and \`x 0\` is the exit code.
 */
export function followScript(id: string): string {
  return `berth_run=${runDirectory(id)}
echo; echo "${startMark(id)}"
until [ -e "$berth_run/out" ]; do [ -e "$berth_run/go" ] || { echo gone; exit 0; }; echo k || exit 1; sleep 1; done
${followBody("frames")}`;
}

/** Reads the size before the next turn checks for the end, so the last turn prints everything. */
function followBody(mode: "" | "frames"): string {
  const frame = (name: string) => (mode === "" ? "" : `echo "${name} $((n-$${name}))" || exit 1; `);
  return `o=$1; e=$2; i=0
while :; do
  c=; if [ -e "$berth_run/code" ]; then c=$(cat "$berth_run/code"); fi
  n=$(($(wc -c <"$berth_run/out"))) || exit 1
  if [ "$n" -gt "$o" ]; then ${frame("o")}tail -c +$((o+1)) "$berth_run/out" | head -c $((n-o)); o=$n; fi
  n=$(($(wc -c <"$berth_run/err"))) || exit 1
  if [ "$n" -gt "$e" ]; then ${frame("e")}tail -c +$((e+1)) "$berth_run/err" | head -c $((n-e)); e=$n; fi
  if [ -n "$c" ]; then ${mode === "" ? "" : 'echo "x $c"; '}exit 0; fi
  i=$((i+1)); if [ $((i%40)) -eq 0 ]; then ${mode === "" ? ":" : "echo k || exit 1"}; fi
  sleep 0.5 2>/dev/null || sleep 1
done`;
}
