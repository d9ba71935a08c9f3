import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { findRunningStack } from "./home.ts";
import { localIdentities } from "./identities.ts";
import { replaceFile } from "./secret-file.ts";

export interface ShellOptions {
  readonly home: string;
  /** A new key, whatever is kept. */
  readonly fresh: boolean;
}

/**
 * The `export` lines that a shell needs to talk to the stack that runs in this home: its address, a key, and two
 * identities. Logs in as a user would, with the first. Throws when no stack runs.
 */
export async function shellEnvironment({ home, fresh }: ShellOptions): Promise<string> {
  const path = resolve(home);
  const stack = findRunningStack(path);
  if (!stack) throw new Error(`No local stack is running in ${path}. Start one with: npm start`);
  const [developer, second] = localIdentities(path);
  const kept = fresh ? undefined : await keptKey(path, stack.url);
  const lines = {
    API_URL: stack.url,
    API_KEY: kept ?? (await newKey(path, stack.url)),
    AWS_ACCESS_KEY_ID: developer.accessKeyId,
    AWS_SECRET_ACCESS_KEY: developer.secretAccessKey,
    AWS_SESSION_TOKEN: developer.sessionToken,
    AWS_ENDPOINT_URL_STS: stack.stsUrl,
    BERTH_SECOND_AWS_ACCESS_KEY_ID: second.accessKeyId,
    BERTH_SECOND_AWS_SECRET_ACCESS_KEY: second.secretAccessKey,
    BERTH_SECOND_AWS_SESSION_TOKEN: second.sessionToken,
  };
  return Object.entries(lines)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

interface KeptKey {
  readonly key: string;
  readonly expiresAt: number;
}

const leastLifeMs = 60 * 60_000;
const patienceMs = 10_000;

/** The key that was printed last, while it has more than an hour left and the stack takes it. */
async function keptKey(home: string, url: string): Promise<string | undefined> {
  const kept = readKey(home);
  if (!kept || kept.expiresAt - Date.now() <= leastLifeMs) return undefined;
  const headers = { authorization: `Bearer ${kept.key}` };
  const { status } = await fetch(`${url}/v1/jobs?limit=1`, { headers, signal: AbortSignal.timeout(patienceMs) });
  return status === 401 ? undefined : kept.key;
}

function readKey(home: string): KeptKey | undefined {
  try {
    return JSON.parse(readFileSync(keyPath(home), "utf8")) as KeptKey;
  } catch {
    return undefined;
  }
}

async function newKey(home: string, url: string): Promise<string> {
  const [{ accessKeyId, secretAccessKey, sessionToken }] = localIdentities(home);
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
  replaceFile(keyPath(home), JSON.stringify(kept));
  return kept.key;
}

function keyPath(home: string): string {
  return join(home, "api-key.json");
}

/** For any POSIX shell: single quotes, and a quote inside as '\''. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
