import { BerthError } from "../sdk/errors.ts";
import { printable } from "./terminal/text.ts";

/** Exit codes of every command. `run` and `ssh NAME -- command` return the command's own code instead. */
export const exitCodes = {
  failed: 1,
  usage: 2,
  notFound: 3,
  loginNeeded: 4,
  noCapacity: 5,
  timeout: 6,
  unreachable: 7,
  detached: 130,
  ownFailure: 255,
} as const;

/** A failure with the command's own message. */
export class CliError extends Error {
  readonly exitCode: number;
  readonly hint: string;
  readonly requestId: string | undefined;

  constructor(message: string, exitCode: number, hint: string, requestId?: string) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
    this.requestId = requestId;
  }
}

/** Ends a command with a code, without a message. */
export class QuietExit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("");
    this.exitCode = exitCode;
  }
}

const codesByError: Partial<Record<BerthError["code"], number>> = {
  key_missing: exitCodes.loginNeeded,
  key_invalid: exitCodes.loginNeeded,
  key_expired: exitCodes.loginNeeded,
  key_revoked: exitCodes.loginNeeded,
  user_disabled: exitCodes.loginNeeded,
  not_found: exitCodes.notFound,
  ambiguous: exitCodes.notFound,
  invalid: exitCodes.usage,
  capacity: exitCodes.noCapacity,
  limit: exitCodes.noCapacity,
  rate: exitCodes.noCapacity,
  timeout: exitCodes.timeout,
  unreachable: exitCodes.unreachable,
  unreadable: exitCodes.unreachable,
  unavailable: exitCodes.unreachable,
};

let loginHint = "Log in with: berth login";

/** What a user of the command line can do. The hints of the SDK are for programs. */
const hintsByError: Partial<Record<BerthError["code"], string>> = {
  not_found: "List what you have with: berth ls --all, berth disks or berth keys",
  conflict: "See its state with: berth show or berth disks, and try again",
  invalid: "See what a command takes with: berth help COMMAND, and your limits with: berth me",
  capacity: "See what is free with: berth avail",
  action_failed: "See the state with: berth show or berth disks",
  timeout: "It may still happen. See the state with: berth show or berth disks",
  unreachable: "Check the address and the network. On this machine start a stack with: npm start",
};

/** The hint of a failure that no command expects: an answer that Berth does not send, or a fault of this machine. */
export const doctorHint = "Check this machine and the deployment with: berth doctor";

/** Sets what people read when their key is refused. It depends on where the key came from. */
export function setLoginHint(hint: string): void {
  loginHint = hint;
}

/** Returns the exit code of an error. */
export function toExitCode(error: unknown): number {
  if (error instanceof CliError || error instanceof QuietExit) return error.exitCode;
  return error instanceof BerthError ? (codesByError[error.code] ?? exitCodes.failed) : exitCodes.failed;
}

/** Returns what people read of an error: one sentence, a hint, the request id. */
export function describeError(error: unknown): string {
  if (error instanceof QuietExit) return "";
  const { message } = error as Error;
  // An answer without a field that this version reads.
  const isOdd = error instanceof TypeError || error instanceof RangeError;
  const lines = [`error: ${printable(isOdd ? `An answer of the deployment is not understood: ${message}` : message)}`];
  const hint = isOdd ? "It may be of another version: see berth doctor" : formatHint(error);
  lines.push(`hint: ${printable(hint)}`);
  const hasRequest = error instanceof BerthError || error instanceof CliError;
  if (hasRequest && error.requestId !== undefined) lines.push(`request id: ${printable(error.requestId)}`);
  return lines.join("\n");
}

function formatHint(error: unknown): string {
  if (error instanceof CliError) return error.hint;
  if (!(error instanceof BerthError)) return doctorHint;
  if (toExitCode(error) === exitCodes.loginNeeded) return loginHint;
  return hintsByError[error.code] ?? error.hint ?? doctorHint;
}
