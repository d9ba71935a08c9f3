import { dirname, join, resolve } from "node:path";
import { readState } from "./state.ts";

/** An embedded stack on this machine, as its home says. */
export interface LocalStack {
  readonly home: string;
  readonly url: string;
  readonly stsUrl: string;
}

/** A user whom the STS of a local stack knows. */
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

/** Returns the stack that runs in a home. */
export function runningStack(home: string): LocalStack | undefined {
  const record = readState(join(home, "stack.json")) as StackRecord | undefined;
  if (typeof record?.url !== "string" || typeof record.stsUrl !== "string") return undefined;
  return record.stopped || !isAlive(record.process.pid) ? undefined : { home, url: record.url, stsUrl: record.stsUrl };
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
  readonly process: { readonly pid: number };
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [path, ...ancestors(parent)];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
