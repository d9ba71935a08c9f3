import { spawnSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CliError, exitCodes } from "./failure.ts";
import { statePath } from "./state.ts";

export interface SshKey {
  /** Path of the private key. */
  readonly path: string;
  /** Type, base64 and comment. */
  readonly publicKey: string;
}

/** Returns the CLI's own key. It is made on first use, so no key of ~/.ssh is needed. */
export function ownSshKey(): SshKey {
  const path = statePath("id_ed25519");
  if (!existsSync(path)) makeKey(path);
  const { status, stdout, stderr } = spawnSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" });
  if (status !== 0) throw new CliError(`${path} is no usable key: ${(stderr ?? "").trim()}`, exitCodes.failed);
  const [type = "", base64 = ""] = stdout.split(/\s/);
  return { path, publicKey: `${type} ${base64} berth-cli` };
}

/** The key appears whole. If two processes create a key at once, both use the first. */
function makeKey(path: string): void {
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const words = ["-q", "-t", "ed25519", "-N", "", "-C", "berth-cli", "-f", draft];
  const { error, status, stderr } = spawnSync("ssh-keygen", words, { encoding: "utf8" });
  if (error) {
    const hint = "Install OpenSSH's client, for example with: apt install openssh-client";
    throw new CliError("There is no ssh-keygen on the PATH", exitCodes.failed, hint);
  }
  try {
    if (status !== 0) throw new CliError(`ssh-keygen failed: ${stderr.trim()}`, exitCodes.failed);
    linkSync(draft, path);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== "EEXIST") throw failure;
  } finally {
    for (const file of [draft, `${draft}.pub`]) rmSync(file, { force: true });
  }
}
