import { spawn } from "node:child_process";
import { CliError, exitCodes } from "../failure.ts";
import { openClient } from "../login/client.ts";
import { say } from "../terminal/terminal.ts";
import { shellWord } from "../terminal/text.ts";
import { isOlder, version } from "../version.ts";
import { readState, statePath, writePrivate } from "./state.ts";

/** The versions that a deployment named, and when they were requested and shown. */
interface Remembered {
  readonly lookedAt: number;
  readonly shownAt?: number;
  readonly version?: string | undefined;
  readonly minVersion?: string | undefined;
}

const dayMs = 24 * 60 * 60_000;
const readWithinMs = 10_000;

/**
 * Prints at most once a day that the deployment serves a newer command line. A background process requests the version
 * at most once a day, so no command waits for the answer.
 */
export function noteNewerVersion(url: string): void {
  const found = readRemembered()[url];
  if (isDue(found?.lookedAt)) startReading(url);
  if (found?.version === undefined || !isOlder(version, found.version) || !isDue(found.shownAt)) return;
  say(`berth ${found.version} is available, and you have ${version}. Install it with: ${installLine(url)}`);
  remember(url, { ...found, shownAt: Date.now() });
}

function startReading(url: string): void {
  remember(url, { ...readRemembered()[url], lookedAt: Date.now() });
  const [, program = ""] = process.argv;
  const child = spawn(process.execPath, [program, "__look", url], { detached: true, stdio: "ignore" });
  child.once("error", () => undefined).unref();
}

/** Asks a deployment for its versions and remembers them. Sends no key. */
export async function readDeployment(url: string): Promise<Remembered> {
  const { min_client_version, cli } = await openClient({ url }).discover({ signal: AbortSignal.timeout(readWithinMs) });
  const versions = { version: plain(cli?.version), minVersion: plain(cli?.min_version ?? min_client_version) };
  const found = { ...readRemembered()[url], lookedAt: Date.now(), ...versions };
  remember(url, found);
  return found;
}

/** Throws if the deployment serves only newer command lines. Asks it again before that. */
export async function refuseOldVersion(url: string): Promise<void> {
  if (!isTooOld(readIfReadable(url))) return;
  const found = await readDeployment(url).catch(() => readRemembered()[url]);
  if (!isTooOld(found)) return;
  const words = `${url} serves berth from ${found?.minVersion} on, and this is ${version}`;
  throw new CliError(words, exitCodes.failed, `Install the newer one with: ${installLine(url)}`);
}

/** A state that cannot be read refuses nothing: the command itself says so if it needs the state. */
function readIfReadable(url: string): Remembered | undefined {
  try {
    return readRemembered()[url];
  } catch {
    return undefined;
  }
}

function isTooOld(found: Remembered | undefined): boolean {
  return found?.minVersion !== undefined && isOlder(version, found.minVersion);
}

function installLine(url: string): string {
  const address = `${url}/cli/berth.tgz`;
  return `npm install -g ${/^[\w:/.[\]-]+$/.test(address) ? address : shellWord(address)}`;
}

/** A clock that was set back makes it due. */
function isDue(at: number | undefined): boolean {
  const age = Date.now() - (at ?? Number.NEGATIVE_INFINITY);
  return age < 0 || age > dayMs;
}

/** A server may send anything in place of a version. */
function plain(text: unknown): string | undefined {
  return typeof text === "string" && /^\d{1,6}(\.\d{1,6}){2}$/.test(text) ? text : undefined;
}

function readRemembered(): Readonly<Record<string, Remembered | undefined>> {
  const found = readState(statePath("versions.json"));
  return typeof found === "object" && found !== null ? (found as Record<string, Remembered>) : {};
}

function remember(url: string, found: Remembered): void {
  writePrivate(statePath("versions.json"), `${JSON.stringify({ ...readRemembered(), [url]: found }, null, 2)}\n`);
}
