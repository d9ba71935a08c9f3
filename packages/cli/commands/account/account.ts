import { CliError, exitCodes } from "../../failure.ts";
import { readAddress, readKey, readTypedAddress } from "../../login/addresses.ts";
import { openClient } from "../../login/client.ts";
import { connect, learnRole } from "../../login/connect.ts";
import { logIn, sourceFor } from "../../login/log-in.ts";
import { findLocalStack } from "../../stack/local-stack.ts";
import { readDeployment, refuseOldVersion } from "../../state/deployment-version.ts";
import { withLock } from "../../state/lock.ts";
import {
  type KeySource,
  type Profile,
  readProfiles,
  rememberOperator,
  removeProfile,
  saveProfile,
} from "../../state/profiles.ts";
import { trustedServerId } from "../../state/server-id.ts";
import { table } from "../../terminal/layout.ts";
import { out, outJson, readInput, say } from "../../terminal/terminal.ts";
import { booleanField, printable, shellWord, timeSpan, told } from "../../terminal/text.ts";

interface LoginFlags {
  readonly keyStdin: boolean;
  readonly user?: string;
  readonly awsProfile?: string;
  readonly serverId?: string;
  readonly json: boolean;
}

/** Logs in and keeps the key. */
export async function login({ keyStdin, json, serverId, ...flags }: LoginFlags, givenUrl?: string): Promise<void> {
  const url = loginUrl(givenUrl);
  const profile = keyStdin ? await keepGiven(url) : await logInAndKeep(url, sourceFor(url, flags), serverId);
  await learnRole(url, profile.key);
  await readDeployment(url).catch(() => undefined);
  await refuseOldVersion(url);
  const { username, expiresAt } = profile;
  if (json) return outJson({ url, username, expires_at: expiresAt });
  const life = timeSpan(Date.parse(expiresAt) - Date.now());
  out(told`Logged in to ${url} as ${username}. The key lives for ${life}.\n`);
}

function loginUrl(givenUrl: string | undefined): string {
  if (givenUrl !== undefined) return readTypedAddress(givenUrl);
  const { BERTH_URL } = process.env;
  const url = BERTH_URL ? readAddress(BERTH_URL, "BERTH_URL") : (findLocalStack()?.url ?? readProfiles().current);
  if (url !== undefined) return url;
  throw new CliError("Say where to log in", exitCodes.usage, "For example: berth login https://berth.example");
}

/** Asks outside of the lock, so no other process waits for the answer. */
async function logInAndKeep(url: string, source: KeySource, serverId: string | undefined): Promise<Profile> {
  const trusted = source.kind === "aws" ? await trustedServerId(url, serverId) : undefined;
  return withLock("login", async () => {
    const profile = await logIn(url, source, trusted);
    saveProfile(url, profile);
    return profile;
  });
}

async function keepGiven(url: string): Promise<Profile> {
  const key = readKey(await readInput(), "Standard input");
  const { username, key: ownKey } = await openClient({ url, key }).me();
  const profile: Profile = { key, expiresAt: ownKey.expires_at, username, source: { kind: "given" } };
  await withLock("login", async () => saveProfile(url, profile));
  return profile;
}

/** Revokes the key and forgets it. */
export async function logout({ json }: { readonly json: boolean }, givenUrl?: string): Promise<void> {
  const { current, profiles } = readProfiles();
  const url = givenUrl === undefined ? current : readTypedAddress(givenUrl);
  const profile = url === undefined ? undefined : profiles[url];
  if (url === undefined || !profile) {
    if (json) outJson({ url: url ?? null, revoked: false });
    return say("You are not logged in.");
  }
  const revoked = await revokeKey(url, profile.key);
  await withLock("login", async () => removeProfile(url));
  if (json) return outJson({ url, revoked });
  out(`Logged out of ${url}.\n`);
}

/** Reports whether the deployment revoked the key. It is forgotten in either case. */
async function revokeKey(url: string, key: string): Promise<boolean> {
  try {
    await openClient({ url, key }).keys.revoke(key.slice(0, 8));
    return true;
  } catch (error) {
    say(`The key was not revoked: ${printable((error as Error).message)}`);
    return false;
  }
}

/** Help shows commands of operators by the role. The answer matters more than a state that cannot be written. */
function noteRole(url: string, isOperator: boolean): void {
  try {
    rememberOperator(url, isOperator);
  } catch {
    // The commands that need the state say so.
  }
}

/** Prints whose key is in use, and the limits. */
export async function me({ json }: { readonly json: boolean }): Promise<void> {
  const berth = await connect();
  const found = await berth.me();
  noteRole(berth.url, found.is_operator);
  if (json) return outJson(found);
  const { username, user_id, is_operator, key, limits } = found;
  const rows = [
    ["Deployment", berth.url],
    ["User", told`${username} (${user_id}${booleanField(is_operator) ? ", operator" : ""})`],
    ...Object.entries({ ...key, ...limits }).map(([name, value]) => [
      name.replaceAll("_", " "),
      told`${value ?? "none"}`,
    ]),
  ];
  out(table(rows));
}

/** Prints what a shell needs to call the API. */
export async function env({ json }: { readonly json: boolean }): Promise<void> {
  const berth = await connect();
  const variables = { API_URL: berth.url, API_KEY: (await berth.key()) ?? "" };
  if (json) return outJson(variables);
  out(
    Object.entries(variables)
      .map(([name, value]) => `export ${name}=${shellWord(value)}\n`)
      .join(""),
  );
}
