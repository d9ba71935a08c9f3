import { Berth } from "../sdk/berth.ts";
import { CliError, exitCodes } from "./failure.ts";
import { findLocalStack } from "./local-stack.ts";
import { logIn } from "./log-in.ts";
import { type Profile, readProfiles, renewProfile, saveProfile } from "./profiles.ts";
import { withLock } from "./state.ts";
import { say } from "./terminal.ts";
import { version } from "./version.ts";

/** A key that expires sooner is renewed before it is used. */
const leastLifeMs = 2 * 60_000;

/**
 * Returns a client of the deployment that the user means: that of the environment, else of the last login, else the local
 * stack.
 */
export async function connect(): Promise<Berth> {
  const { BERTH_URL, API_URL, BERTH_API_KEY, API_KEY } = process.env;
  const { current } = readProfiles();
  if (BERTH_URL && BERTH_API_KEY) return client(BERTH_URL, BERTH_API_KEY);
  if (!BERTH_URL && API_URL && API_KEY) return client(API_URL, API_KEY);
  const url = BERTH_URL ?? current;
  if (url !== undefined) return profileClient(url.replace(/\/+$/, ""));
  return localClient();
}

async function localClient(): Promise<Berth> {
  const stack = findLocalStack();
  if (!stack) {
    throw new CliError(
      "You are not logged in",
      exitCodes.loginNeeded,
      "Log in with: berth login https://<your deployment>",
    );
  }
  say(`Logging in to the local stack at ${stack.url} as developer.`);
  saveProfile(stack.url, await logIn(stack.url, { kind: "local", home: stack.home, user: "developer" }));
  return profileClient(stack.url);
}

function profileClient(url: string): Berth {
  const { profiles } = readProfiles();
  const profile = profiles[url];
  if (!profile) {
    throw new CliError(`You are not logged in to ${url}`, exitCodes.loginNeeded, `Log in with: berth login ${url}`);
  }
  const key = isFresh(profile) ? profile.key : undefined;
  return client(url, key, () => renew(url, profile));
}

function isFresh({ expiresAt }: Profile): boolean {
  return Date.parse(expiresAt) - Date.now() > leastLifeMs;
}

/** One process renews. Another one that comes at the same time reads what the first has stored. */
function renew(url: string, refused: Profile): Promise<string> {
  return withLock("login", async () => {
    const stored = readProfiles().profiles[url];
    if (stored && stored.key !== refused.key && isFresh(stored)) return stored.key;
    const renewed = await logIn(url, refused.source);
    renewProfile(url, renewed);
    return renewed.key;
  });
}

function client(url: string, key: string | undefined, credentials?: () => Promise<string>): Berth {
  return new Berth({ url, key, credentials, userAgent: `berth-cli/${version}` });
}
