import { readFileSync } from "node:fs";
import { join } from "node:path";
import ssh2 from "ssh2";
import { tooWeak, weakRsaBits } from "#core/environments/access/whole-key.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { writeOnce } from "./secret-file.ts";

/**
 * Returns this home's SSH host key, which is created on the first start and kept in `ssh-host-key`, mode 600. Throws
 * with advice if that file is damaged.
 */
export function sshHostKey(home: string): string {
  const path = join(home, "ssh-host-key");
  writeOnce(path, () => newSshKey().private);
  const key = readFileSync(path, "utf8");
  const parsed = ssh2.utils.parseKey(key);
  if (!(parsed instanceof Error)) {
    const weakness = findWeakness(`${parsed.type} ${parsed.getPublicSSH().toString("base64")}`);
    if (weakness === undefined) return key;
    throw new Error(`${path} is too weak. ${weakness}, or ${remedy}`);
  }
  throw new Error(`${path} is damaged: it contains no private key.\nPut it back from a copy, or ${remedy}`);
}

const remedy =
  "remove the file: the next start makes a new one, which clients that know this stack refuse until their known_hosts " +
  "forgets it.";

function findWeakness(publicKey: string): string | undefined {
  if (publicKey.startsWith("ssh-dss ")) return "DSA keys are refused: make another one with ssh-keygen -t ed25519";
  const bits = weakRsaBits(publicKey);
  return bits === undefined ? undefined : tooWeak(bits);
}
