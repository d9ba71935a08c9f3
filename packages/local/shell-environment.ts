import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findRunningStack, type StackRecord } from "./home/home.ts";
import { replaceFile } from "./home/secret-file.ts";
import { keptIdentities, type LocalIdentities, type LocalIdentity, userVariables } from "./identity/identities.ts";
import { exportLines } from "./shell-text.ts";

export interface ShellOptions {
  readonly home: string;
  readonly fresh: boolean;
  readonly user?: string | undefined;
  /** How long to wait for a stack that is starting, ms. Default: 0. */
  readonly waitMs?: number;
  readonly onWait?: (home: string) => void;
}

/**
 * Returns the `export` lines for talking to the stack of this home: address, key and the user's identity, and for the
 * developer also the second identity. Logs in as that user. Throws if no stack runs.
 */
export async function shellEnvironment(options: ShellOptions): Promise<string> {
  const path = resolve(options.home);
  const stack = await findStack(path, options);
  const identities = keptIdentities(path);
  const [developer, second] = identities;
  const user = options.user === undefined ? developer : identities.find(({ session }) => session === options.user);
  if (!user) throw new Error(unknownUser(options.user, identities));
  const kept = options.fresh ? undefined : await keptKey(path, user, stack.url);
  return exportLines({
    API_URL: stack.url,
    API_KEY: kept ?? (await newKey(path, user, stack.url)),
    ...userVariables(user, stack),
    ...(user === developer && {
      BERTH_SECOND_AWS_ACCESS_KEY_ID: second.accessKeyId,
      BERTH_SECOND_AWS_SECRET_ACCESS_KEY: second.secretAccessKey,
      BERTH_SECOND_AWS_SESSION_TOKEN: second.sessionToken,
    }),
  });
}

const pollEveryMs = 100;

async function findStack(path: string, { waitMs = 0, onWait }: ShellOptions): Promise<StackRecord> {
  const deadline = performance.now() + waitMs;
  for (let isFirst = true; ; isFirst = false) {
    const stack = findRunningStack(path);
    if (stack) return stack;
    if (performance.now() >= deadline) {
      throw new Error(`No local stack is running in ${path}. Start one with: npm start`);
    }
    if (isFirst) onWait?.(path);
    await sleep(pollEveryMs);
  }
}

function unknownUser(name: string | undefined, identities: LocalIdentities): string {
  const names = identities.map(({ session }) => session).join(", ");
  return `There is no local user '${name}', only ${names}. LOCAL_USERS names more at npm start.`;
}

interface KeptKey {
  readonly key: string;
  readonly expiresAt: number;
}

const leastLifeMs = 60 * 60_000;
const patienceMs = 10_000;

/** Returns the last printed key if it has more than an hour left and the stack accepts it. */
async function keptKey(home: string, user: LocalIdentity, url: string): Promise<string | undefined> {
  const kept = readKey(home, user);
  if (!kept || kept.expiresAt - Date.now() <= leastLifeMs) return undefined;
  const headers = { authorization: `Bearer ${kept.key}` };
  const { status } = await fetch(`${url}/v1/jobs?limit=1`, { headers, signal: AbortSignal.timeout(patienceMs) });
  return status === 401 ? undefined : kept.key;
}

function readKey(home: string, user: LocalIdentity): KeptKey | undefined {
  try {
    return JSON.parse(readFileSync(keyPath(home, user), "utf8")) as KeptKey;
  } catch {
    return undefined;
  }
}

async function newKey(home: string, user: LocalIdentity, url: string): Promise<string> {
  const { accessKeyId, secretAccessKey, sessionToken } = user;
  const response = await fetch(`${url}/v1/auth/aws-login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      aws_access_key_id: accessKeyId,
      aws_secret_access_key: secretAccessKey,
      aws_session_token: sessionToken,
    }),
    signal: AbortSignal.timeout(patienceMs),
  });
  const answer = (await response.json()) as { api_key?: string; expires_at?: string; detail?: unknown };
  if (!answer.api_key || !answer.expires_at) {
    throw new Error(`The login was refused (${response.status}): ${JSON.stringify(answer.detail)}`);
  }
  const kept: KeptKey = { key: answer.api_key, expiresAt: Date.parse(answer.expires_at) };
  replaceFile(keyPath(home, user), JSON.stringify(kept));
  return kept.key;
}

function keyPath(home: string, { session }: LocalIdentity): string {
  return join(home, session === "developer" ? "api-key.json" : `api-key-${session}.json`);
}
