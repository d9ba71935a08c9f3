import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { linkSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CliError, exitCodes } from "../failure.ts";
import { describeFailure, makePrivateDirectory, moveHint, statePath } from "../state/state.ts";
import { printable } from "../terminal/text.ts";

export interface SshKey {
  /** Path of the private key. */
  readonly path: string;
  /** Type, base64 and comment. */
  readonly publicKey: string;
}

/** Returns the CLI's own key. It is made on first use, so no key of ~/.ssh is needed. */
export function ownSshKey(): SshKey {
  const path = statePath("id_ed25519");
  const file = describeFailure(path, "read", () => statSync(path, { throwIfNoEntry: false }));
  if (file === undefined) makeKey(path);
  if (file && process.getuid && file.uid !== process.getuid()) {
    throw new CliError(`${path} is the key of another user`, exitCodes.failed, newKeyHint);
  }
  const { status, stdout, stderr } = runKeygen(["-y", "-P", "", "-f", path]);
  if (status !== 0)
    throw new CliError(`${path} is not a usable key: ${lastLine(stderr)}`, exitCodes.failed, newKeyHint);
  const [type = "", base64 = ""] = stdout.split(/\s/);
  return { path, publicKey: `${type} ${base64} berth-cli` };
}

const newKeyHint = "Move it away, and a new one is made";

/** The key appears whole. If two processes create a key at once, both use the first. */
function makeKey(path: string): void {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  makePrivateDirectory(dirname(path));
  try {
    const { status, stderr } = runKeygen(["-q", "-t", "ed25519", "-N", "", "-C", "berth-cli", "-f", draft]);
    if (status !== 0) throw new CliError(`${path} cannot be written: ${lastLine(stderr)}`, exitCodes.failed, moveHint);
    describeFailure(path, "written", () => linkSync(draft, path));
  } catch (failure) {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) throw failure;
  } finally {
    for (const file of [draft, `${draft}.pub`]) rmSync(file, { force: true });
  }
}

function runKeygen(words: readonly string[]) {
  const { error, ...ended } = spawnSync("ssh-keygen", words, { encoding: "utf8" });
  if (!error) return ended;
  const hint = "Install OpenSSH's client, for example with: apt install openssh-client";
  throw new CliError("There is no ssh-keygen on the PATH", exitCodes.failed, hint);
}

function lastLine(text: string): string {
  return printable(text.trim().split("\n").at(-1) ?? "");
}
