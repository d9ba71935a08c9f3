import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CallerIdentity } from "#core/ports/identity.ts";
import { replaceFile, writeOnce } from "../home/secret-file.ts";
import { exportLines } from "../shell-text.ts";
import type { SigningKey } from "./sigv4.ts";

export interface LocalIdentity extends SigningKey, CallerIdentity {
  readonly session: string;
  readonly userId: string;
}

export const localAccount = "000000000000";
const role = "SSOCloudDevGpuReservation";
const sessions = ["developer", "second"] as const;

export type LocalIdentities = readonly [LocalIdentity, LocalIdentity, ...LocalIdentity[]];

/**
 * Returns the identities of this home, which `identities.json` (mode 600) keeps from the first start. Adds new names
 * in `others`. A name that is no longer listed keeps its stored credentials but cannot log in until it is listed
 * again.
 */
export function localIdentities(home: string, others: readonly string[] = []): LocalIdentities {
  const path = join(home, "identities.json");
  writeOnce(path, () => JSON.stringify(sessions.map(newIdentity), null, 2));
  const kept = keptIdentities(home);
  const named = [...new Set(others)].filter((name) => !isFirst(name));
  const added = named.filter((name) => !kept.some(({ session }) => session === name)).map(newIdentity);
  if (added.length > 0) replaceFile(path, JSON.stringify([...kept, ...added], null, 2));
  const [developer, second] = kept;
  const knownIdentities = [...kept, ...added];
  return [developer, second, ...named.flatMap((name) => knownIdentities.filter(({ session }) => session === name))];
}

/** Returns all identities of this home, listed or not. Throws if its file lacks the first two. */
export function keptIdentities(home: string): LocalIdentities {
  const path = join(home, "identities.json");
  const [developer, second, ...others] = readIdentities(path);
  if (!developer || !second) throw new Error(`${path} does not contain two identities; remove it to create new ones`);
  return [developer, second, ...others];
}

function isFirst(name: string): boolean {
  return (sessions as readonly string[]).includes(name);
}

function readIdentities(path: string): readonly LocalIdentity[] {
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"));
    return Array.isArray(found) ? found.filter(isIdentity) : [];
  } catch (cause) {
    throw new Error(`${path} cannot be read; remove it to create new identities`, { cause });
  }
}

function isIdentity(found: unknown): found is LocalIdentity {
  const fields = ["session", "account", "arn", "userId", "accessKeyId", "secretAccessKey", "sessionToken"] as const;
  const candidate = (found ?? {}) as Readonly<Record<string, unknown>>;
  return fields.every((field) => typeof candidate[field] === "string");
}

function newIdentity(session: string): LocalIdentity {
  return {
    session,
    account: localAccount,
    arn: `arn:aws:sts::${localAccount}:assumed-role/${role}/${session}`,
    userId: `AROA${randomText(17)}:${session}`,
    accessKeyId: `ASIA${randomText(16)}`,
    secretAccessKey: randomBytes(30).toString("base64"),
    sessionToken: randomBytes(150).toString("base64"),
  };
}

function randomText(length: number): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
}

interface Addresses {
  readonly url: string;
  readonly stsUrl: string;
}

export function writeUserFiles(home: string, users: readonly LocalIdentity[], at: Addresses): string | undefined {
  const directory = join(home, "users");
  mkdirSync(directory, { mode: 0o700, recursive: true });
  const names = users.map(({ session }) => `${session}.env`);
  const left = readdirSync(directory).filter((name) => name.endsWith(".env") && !names.includes(name));
  for (const name of left) rmSync(join(directory, name));
  for (const user of users) replaceFile(join(directory, `${user.session}.env`), exportLines(userVariables(user, at)));
  return users.length > 0 ? directory : undefined;
}

export function userVariables(user: LocalIdentity, { url, stsUrl }: Addresses): Record<string, string> {
  return {
    API_URL: url,
    AWS_ACCESS_KEY_ID: user.accessKeyId,
    AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
    AWS_SESSION_TOKEN: user.sessionToken,
    AWS_ENDPOINT_URL_STS: stsUrl,
  };
}
