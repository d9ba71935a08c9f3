import { readState, statePath, writePrivate } from "./state.ts";

/** The source of the next key of a profile. */
export type KeySource =
  | { readonly kind: "aws"; readonly profile?: string | undefined }
  | { readonly kind: "local"; readonly home: string; readonly user: string }
  | { readonly kind: "given" };

export interface Profile {
  readonly key: string;
  /** ISO 8601. */
  readonly expiresAt: string;
  readonly username: string;
  readonly source: KeySource;
  /** Id of the deployment, which the user trusted at the first login by AWS. */
  readonly serverId?: string | undefined;
  /** Answer of the deployment at the last login or `berth me`. */
  readonly isOperator?: boolean | undefined;
}

interface Profiles {
  readonly current?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

function path(): string {
  return statePath("profiles.json");
}

/** Returns the profiles, by the address of their deployment. */
export function readProfiles(): Profiles {
  const found = readState(path());
  const isWhole = typeof found === "object" && found !== null && "profiles" in found;
  return isWhole ? (found as Profiles) : { profiles: {} };
}

/** Stores a profile and makes it the current one. */
export function saveProfile(url: string, profile: Profile): void {
  const { profiles } = readProfiles();
  write({ current: url, profiles: { ...profiles, [url]: profile } });
}

/** Stores a renewed key. The current profile stays the current one. */
export function renewProfile(url: string, profile: Profile): void {
  const { current = url, profiles } = readProfiles();
  write({ current, profiles: { ...profiles, [url]: profile } });
}

/** Remembers whether the user of a profile is an operator. */
export function rememberOperator(url: string, isOperator: boolean): void {
  const profile = readProfiles().profiles[url];
  if (profile && profile.isOperator !== isOperator) renewProfile(url, { ...profile, isOperator });
}

/** Reports whether the user of the deployment that commands go to was an operator. */
export function isOperator(): boolean {
  try {
    const { current = "", profiles } = readProfiles();
    const url = process.env.BERTH_URL?.replace(/\/+$/, "") ?? current;
    return profiles[url]?.isOperator === true;
  } catch {
    // The command reports the unreadable state when it reads it.
    return false;
  }
}

/** Removes a profile. If it was the current one, another one becomes current. */
export function removeProfile(url: string): void {
  const { current: previous, profiles } = readProfiles();
  const { [url]: _, ...rest } = profiles;
  const [first] = Object.keys(rest);
  const current = previous === url ? first : previous;
  write({ ...(current !== undefined && { current }), profiles: rest });
}

function write(profiles: Profiles): void {
  writePrivate(path(), `${JSON.stringify(profiles, null, 2)}\n`);
}
