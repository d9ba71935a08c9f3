import ssh2, { type AuthContext, type ParsedKey, type PublicKeyAuthContext } from "ssh2";
import type { SshRuns } from "./ssh-runs.ts";
import { isSecurityKey, isSignedBySecurityKey } from "./ssh-security-key.ts";

/** Who came in: into which run, by which of its keys. */
export interface Guest {
  readonly run: string;
  /** As the run's access names it: `<type> <base64>`. */
  readonly key: string;
}

/** Lets in who holds one of the keys of the run that the user name names, and nobody else in any other way. */
export function logIn(context: AuthContext, runs: SshRuns, onGuest: (guest: Guest) => void): void {
  const guest = context.method === "publickey" ? guestOf(runs, context) : undefined;
  if (!guest || context.method !== "publickey") {
    context.reject(["publickey"]);
    return;
  }
  // Without a signature the client only asks whether this key would do.
  if (!context.signature || !context.blob) {
    context.accept();
    return;
  }
  if (!isSigned(guest.key, context.blob, context.signature, context.hashAlgo)) {
    context.reject(["publickey"]);
    return;
  }
  onGuest(guest);
  context.accept();
}

function guestOf(runs: SshRuns, { username, key: shown }: PublicKeyAuthContext): Guest | undefined {
  const blob = shown.data.toString("base64");
  for (const { name, keys } of runs.find(username)) {
    const key = keys.find((one) => one.split(" ")[1] === blob);
    if (key) return { run: name, key };
  }
  return undefined;
}

function isSigned(key: string, bytes: Buffer, signature: Buffer, algorithm: string | undefined): boolean {
  if (isSecurityKey(key)) return isSignedBySecurityKey(key, bytes, signature);
  return parsedKey(key)?.verify(bytes, signature, algorithm) === true;
}

function parsedKey(text: string): ParsedKey | undefined {
  const parsed = ssh2.utils.parseKey(text);
  return parsed instanceof Error ? undefined : parsed;
}
