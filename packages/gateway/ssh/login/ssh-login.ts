import ssh2, { type AuthContext, type ParsedKey, type PublicKeyAuthContext } from "ssh2";
import { tooWeak, weakRsaBits } from "#core/environments/access/whole-key.ts";
import type { EndedLogin, SshDirectory } from "../../ports/directory.ts";
import { isSecurityKey, isSignedBySecurityKey } from "./ssh-security-key.ts";

export interface Guest {
  readonly run: string;
  readonly login: string;
  readonly key: string;
  /** Why the environment has ended. Such a guest only reads the reason. */
  readonly ended?: EndedLogin;
}

export interface LoginNews {
  onGuest(guest: Guest): void;
  show(text: string): void;
}

/** Answers a login. Rejects if the directory is away. ssh2 holds back the client's next try until the answer. */
export async function logIn(
  context: AuthContext,
  directory: SshDirectory,
  { onGuest, show }: LoginNews,
): Promise<void> {
  const guest = context.method === "publickey" ? await findGuest(directory, context) : undefined;
  const weakness = guest && context.method === "publickey" ? findWeakness(guest.key, context) : undefined;
  if (weakness !== undefined) show(`${weakness}\r\n`);
  if (!guest || context.method !== "publickey" || weakness !== undefined) {
    context.reject(["publickey"]);
    return;
  }
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

async function findGuest(
  directory: SshDirectory,
  { username, key: shown }: PublicKeyAuthContext,
): Promise<Guest | undefined> {
  const blob = shown.data.toString("base64");
  const living = await directory.find(username);
  for (const { name, keys } of living) {
    const key = keys.find((key) => key.split(" ")[1] === blob);
    if (key) return { run: name, login: username, key };
  }
  // A restarted environment of this name has not ended: it no longer takes this key.
  const ended = living.length > 0 ? undefined : await directory.findEnded(username);
  const key = ended?.keys.find((key) => key.split(" ")[1] === blob);
  return ended && key !== undefined ? { run: "", login: username, key, ended } : undefined;
}

/** Returns why a known key, or its signature algorithm, is refused. Earlier versions may have accepted both. */
function findWeakness(key: string, { key: shown, hashAlgo }: PublicKeyAuthContext): string | undefined {
  const bits = weakRsaBits(key);
  if (bits !== undefined) return tooWeak(bits);
  const isSha1 = shown.algo === "ssh-rsa" && hashAlgo === undefined;
  return isSha1
    ? "This client signs with SHA-1 (ssh-rsa), which is refused: update it, or use an ed25519 key"
    : undefined;
}

function isSigned(key: string, bytes: Buffer, signature: Buffer, algorithm: string | undefined): boolean {
  if (isSecurityKey(key)) return isSignedBySecurityKey(key, bytes, signature);
  return parsedKey(key)?.verify(bytes, signature, algorithm) === true;
}

function parsedKey(text: string): ParsedKey | undefined {
  const parsed = ssh2.utils.parseKey(text);
  return parsed instanceof Error ? undefined : parsed;
}
