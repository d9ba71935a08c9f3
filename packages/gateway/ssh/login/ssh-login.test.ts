import { generateKeyPairSync } from "node:crypto";
import ssh2, { type AuthContext } from "ssh2";
import { expect, it } from "vitest";
import type { SshDirectory } from "../../ports/directory.ts";
import { type Guest, logIn } from "./ssh-login.ts";

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const parsed = ssh2.utils.parseKey(privateKey.export({ type: "pkcs1", format: "pem" }) as string);
if (parsed instanceof Error) throw parsed;
const data = parsed.getPublicSSH();
const key = `ssh-rsa ${data.toString("base64")}`;
const directory = { find: async () => [{ name: "run", keys: [key] }] } as Partial<SshDirectory> as SshDirectory;

it.each([
  ["SHA-1, which old clients choose by default", undefined, "sha1", false],
  ["SHA-256", "sha256", "sha256", true],
  ["SHA-512", "sha512", "sha512", true],
] as const)(
  "a client that signs with %s is admitted only if the hash is secure",
  async (_, hashAlgo, hash, isLetIn) => {
    const blob = Buffer.from("what is signed");
    const guests: Guest[] = [];
    const shown: string[] = [];
    const answers: string[] = [];
    const context = {
      method: "publickey",
      username: "gpu-dev-00000000",
      key: { algo: "ssh-rsa", data },
      hashAlgo,
      blob,
      signature: parsed.sign(blob, hash),
      accept: () => answers.push("accepted"),
      reject: () => answers.push("refused"),
    } as unknown as AuthContext;

    await logIn(context, directory, { onGuest: (guest) => guests.push(guest), show: (text) => shown.push(text) });

    expect(answers).toEqual([isLetIn ? "accepted" : "refused"]);
    expect(guests.length).toBe(isLetIn ? 1 : 0);
    expect(shown.join()).toMatch(isLetIn ? /^$/ : /^This client signs with SHA-1/);
  },
);
