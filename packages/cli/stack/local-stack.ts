import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isRunning, type ProcessIdentity } from "../state/process-identity.ts";
import { readState } from "../state/state.ts";

/** An embedded stack on this machine, as its home says. */
export interface LocalStack {
  readonly home: string;
  readonly url: string;
  readonly stsUrl: string;
}

/** A user of a local stack, as its STS stores them. */
interface LocalUser {
  readonly session: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** Returns the stack that runs in `BERTH_HOME`, or in `.berth` of this directory or one above. */
export function findLocalStack(): LocalStack | undefined {
  const { BERTH_HOME } = process.env;
  const homes = BERTH_HOME ? [resolve(BERTH_HOME)] : ancestors(process.cwd()).map((path) => join(path, ".berth"));
  return homes.map(runningStack).find((stack) => stack !== undefined);
}

/**
 * Returns the stack that runs in a home. Ignores a home of another user and a stack elsewhere: a cloned repository or
 * `/tmp` may hold a `.berth` that would lead keys to a stranger.
 */
export function runningStack(home: string): LocalStack | undefined {
  return findStackProcess(home)?.stack;
}

/** A running stack and its process. */
export interface StackProcess {
  readonly stack: LocalStack;
  readonly process: ProcessIdentity;
}

/** Returns the stack that runs in a home with its process, under the same rules. */
export function findStackProcess(home: string): StackProcess | undefined {
  const path = join(home, "stack.json");
  if (statSync(path, { throwIfNoEntry: false })?.uid !== process.getuid?.()) return undefined;
  const record = readState(path) as StackRecord | undefined;
  if (typeof record?.url !== "string" || typeof record.stsUrl !== "string") return undefined;
  if (![record.url, record.stsUrl].every(isLoopback)) return undefined;
  if (record.stopped || !isRunning(record.process)) return undefined;
  return { stack: { home, url: record.url, stsUrl: record.stsUrl }, process: record.process };
}

/** Returns the AWS credentials of a user of a local stack. */
export function localUser(home: string, name: string): LocalUser | undefined {
  const users = readState(join(home, "identities.json")) as readonly LocalUser[] | undefined;
  return users?.find(({ session }) => session === name);
}

interface StackRecord {
  readonly url: unknown;
  readonly stsUrl: unknown;
  readonly stopped: boolean;
  readonly process: ProcessIdentity;
}

/** Reports whether an address is one of this machine, without TLS. */
export function isLoopback(url: string): boolean {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  return protocol === "http:" && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [path, ...ancestors(parent)];
}
