import { readFile } from "node:fs/promises";
import { derivePublicKey } from "#gateway/ssh/login/ssh-keys.ts";

export interface HostKey {
  /** Private key in the form of OpenSSH. */
  readonly private: string;
  readonly public: string;
}

const rule = "must name a file with private ed25519 keys of OpenSSH, without a passphrase";

/**
 * Reads the private keys of a file, one after another. An SSH server can offer one key of a kind, which is the first.
 * Throws for a bad key anywhere, so that the next key is known to be good before it is needed.
 */
export async function readHostKeys(file: string): Promise<readonly [HostKey, ...HostKey[]]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw bad(`${rule}: ${file} cannot be read (${error.code ?? "error"})`);
  });
  const [first, ...others] = text.split(/(?=-----BEGIN )/).filter((part) => part.trim() !== "");
  if (first === undefined) throw bad(`${rule}: ${file} is empty`);
  return [toHostKey(first, file, 1), ...others.map((key, at) => toHostKey(key, file, at + 2))];
}

function toHostKey(text: string, file: string, place: number): HostKey {
  const key = text.trim();
  const isPrivate = key.startsWith("-----BEGIN OPENSSH PRIVATE KEY-----");
  const publicKey = isPrivate ? findPublicKey(key) : undefined;
  if (publicKey?.startsWith("ssh-ed25519 ")) return { private: key, public: publicKey };
  throw bad(`${rule}: key ${place} of ${file} is none`);
}

/** Returns undefined without the parser's message, which could repeat its input. */
function findPublicKey(key: string): string | undefined {
  try {
    return derivePublicKey(key);
  } catch {
    return undefined;
  }
}

function bad(problem: string): Error {
  return new Error(`Bad settings:\n  HOST_KEY_FILE ${problem}`);
}
