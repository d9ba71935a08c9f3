import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface ClientEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Clients of OpenSSH with a key of their own, for one server at a time. */
export interface SshClient {
  /** Public key: `<type> <base64>`. */
  readonly key: string;
  /** Options of every client but the port. */
  readonly options: readonly string[];
  /** Path of a file of the client. */
  file(name: string): string;
  /** Runs a client to its end. Its input is the text, and then ends. */
  run(program: string, words: readonly string[], input?: string): Promise<ClientEnd>;
  remove(): Promise<void>;
}

export async function createSshClient(): Promise<SshClient> {
  const folder = await mkdtemp(join(tmpdir(), "berth-client-"));
  const file = (name: string) => join(folder, name);
  await promisify(execFile)("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file("key")]);
  const [type, base64] = (await readFile(file("key.pub"), "utf8")).split(" ");
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"];
  return {
    key: `${type} ${base64}`,
    options: ["-F", "/dev/null", "-i", file("key"), ...settings.flatMap((setting) => ["-o", setting])],
    file,
    run: (program, words, input = "") =>
      new Promise((resolve) => {
        const child = execFile(program, words, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
          resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
        });
        child.stdin?.on("error", () => undefined).end(input);
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
