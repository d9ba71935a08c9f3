import ssh2 from "ssh2";

export interface SshKeyPair {
  readonly private: string;
  readonly public: string;
}

/** Retries until the key parses: ssh2 1.17 cuts the first byte off a public key that begins with 0, one in 256. */
export function newSshKey(): SshKeyPair {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync("ed25519");
    const parsed = ssh2.utils.parseKey(made.private);
    if (!(parsed instanceof Error)) return { private: made.private, public: made.public.trim() };
  }
}

export function derivePublicKey(privateKey: string): string {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  return `${parsed.type} ${parsed.getPublicSSH().toString("base64")}`;
}
