import type { Berth } from "../../sdk/berth.ts";
import type { Fetch } from "../../sdk/transport.ts";
import { CliError, exitCodes, setLoginHint } from "../failure.ts";
import { findLocalStack } from "../stack/local-stack.ts";
import { refuseOldVersion } from "../state/deployment-version.ts";
import { withLock } from "../state/lock.ts";
import { type Profile, readProfiles, rememberOperator, renewProfile, saveProfile } from "../state/profiles.ts";
import { trustedServerId } from "../state/server-id.ts";
import { session } from "../state/session.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { version } from "../version.ts";
import { readAddress, readKey } from "./addresses.ts";
import { openClient } from "./client.ts";
import { logIn } from "./log-in.ts";

/** A key that expires sooner is renewed before it is used. */
const leastLifeMs = 2 * 60_000;

export interface ConnectOptions {
  /** Ends every call of the client. */
  readonly signal?: AbortSignal;
  /** False: uses only an existing, fresh key, without a question or a login. */
  readonly mayLogIn?: boolean;
  /** Sends the calls of the client. */
  readonly fetch?: Fetch;
}

/**
 * Returns a client of the deployment that the user means: that of the environment, else of the last login, else the
 * local stack.
 */
export async function connect(options: ConnectOptions = {}): Promise<Berth> {
  const berth = await getClient(options);
  // A completion prints nothing but words to choose from.
  if (options.mayLogIn !== false) {
    await refuseOldVersion(berth.url);
    session.url = berth.url;
  }
  return berth;
}

async function getClient(options: ConnectOptions): Promise<Berth> {
  const { BERTH_URL, API_URL, BERTH_API_KEY, API_KEY } = process.env;
  // A container may have a key and no home directory.
  if (BERTH_API_KEY) return givenClient("BERTH", BERTH_URL || readProfiles().current, BERTH_API_KEY, options);
  if (!BERTH_URL && API_URL && API_KEY) return givenClient("API", API_URL, API_KEY, options);
  const url = BERTH_URL ? readAddress(BERTH_URL, "BERTH_URL") : readProfiles().current;
  if (url !== undefined) return profileClient(url, options);
  return localClient(options);
}

/** The key of the environment wins, and a login would not change it. */
function givenClient(prefix: "BERTH" | "API", url: string | undefined, key: string, options: ConnectOptions): Berth {
  const name = prefix === "API" ? "API_KEY" : "BERTH_API_KEY";
  if (url === undefined) {
    throw new CliError(`${name} is set without a deployment`, exitCodes.usage, "Set BERTH_URL too");
  }
  const address = readAddress(url, `${prefix}_URL`);
  setLoginHint(`${name} holds the key. Unset it and log in with: berth login ${address}`);
  return client(address, readKey(key, name), options);
}

async function localClient(options: ConnectOptions): Promise<Berth> {
  const stack = findLocalStack();
  if (!stack || options.mayLogIn === false) {
    const hint = "Log in with: berth login https://<your deployment>. On this machine start a stack with: npm start";
    throw new CliError("You are not logged in", exitCodes.loginNeeded, hint);
  }
  const { home, url } = stack;
  await withLock("login", async () => {
    // Another process may have been faster.
    if (readProfiles().profiles[url]) return;
    say(`Logging in to the local stack at ${url} as developer.`);
    saveProfile(url, await logIn(url, { kind: "local", home, user: "developer" }));
  });
  const { key = "" } = readProfiles().profiles[url] ?? {};
  await learnRole(url, key);
  return profileClient(url, options);
}

/** Remembers whether the user of a new key is an operator. The login has succeeded without that. */
export async function learnRole(url: string, key: string): Promise<void> {
  const found = await openClient({ url, key })
    .me()
    .catch(() => undefined);
  if (found) await withLock("login", async () => rememberOperator(url, found.is_operator));
}

function profileClient(url: string, { mayLogIn = true, ...options }: ConnectOptions): Berth {
  const hint = `Log in with: berth login ${url}`;
  setLoginHint(hint);
  const profile = readProfiles().profiles[url];
  if (!profile) throw new CliError(`You are not logged in to ${url}`, exitCodes.loginNeeded, hint);
  const key = isFresh(profile) ? profile.key : undefined;
  if (key === undefined && !mayLogIn) throw new CliError(`The key for ${url} has expired`, exitCodes.loginNeeded, hint);
  return client(url, key, options, mayLogIn ? () => renew(url, profile) : undefined);
}

function isFresh({ expiresAt }: Profile): boolean {
  return Date.parse(expiresAt) - Date.now() > leastLifeMs;
}

/** Renews the key in one process. A concurrent process reads the stored key. */
function renew(url: string, refused: Profile): Promise<string> {
  return withLock("login", async () => {
    const stored = readProfiles().profiles[url];
    if (stored && stored.key !== refused.key && isFresh(stored)) return stored.key;
    const { source, serverId } = refused;
    if (source.kind === "aws" && serverId !== undefined) await trustedServerId(url);
    const renewed = await logIn(url, source, serverId);
    renewProfile(url, { ...renewed, isOperator: stored?.isOperator });
    return renewed.key;
  });
}

function client(
  url: string,
  key: string | undefined,
  { signal, fetch }: ConnectOptions,
  credentials?: () => Promise<string>,
): Berth {
  return openClient({
    url,
    key,
    signal,
    fetch,
    credentials,
    userAgent: `berth-cli/${version}`,
    onIgnored: noteIgnored,
  });
}

const noted = new Set<string>();

/** Prints once which parts of a request the deployment ignored. */
function noteIgnored(names: readonly string[]): void {
  const news = names.filter((name) => !noted.has(name));
  for (const name of news) noted.add(name);
  if (news.length > 0) say(`note: the server does not know ${news.map(printable).join(", ")} and ignored it`);
}
