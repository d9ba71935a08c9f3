import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { systemPath } from "./environment.ts";
import { toolPlaces } from "./tools.ts";

/** Whether bubblewrap is here and can really make the sandbox that runs get (in many containers it cannot). */
export function canSandbox(home: string): boolean {
  const words = [
    ...sandboxOptions({ home, work: undefined, storage: undefined, env: {} }),
    "--",
    "/bin/sh",
    "-c",
    "exit 0",
  ];
  return spawnSync("bwrap", words, { env: { PATH: systemPath }, stdio: "ignore", timeout: 5_000 }).status === 0;
}

/** Where a sandbox shows its disk, or what stands for one. */
export const workspace = "/workspace";

export interface SandboxRequest {
  /** Hidden: keys, records and the other runs. */
  readonly home: string;
  /** The only writable place besides the workspace and a private /tmp. */
  readonly work: string | undefined;
  /** What is seen at /workspace. */
  readonly storage: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Own user, pid, ipc and uts namespaces without capabilities, the machine's file system read-only, its network
 * shared. The environment is set here, so that nothing of it acts on bubblewrap itself (LD_PRELOAD would).
 */
export function sandboxOptions({ home, work, storage, env }: SandboxRequest): string[] {
  return [
    ...["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"],
    "--die-with-parent",
    ...rootPlaces(),
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...hiddenPlaces(),
    ...["--tmpfs", home],
    ...(work === undefined ? [] : ["--bind", work, work, "--chdir", work]),
    ...toolPlaces(home),
    ...["--remount-ro", home],
    ...(storage === undefined ? [] : ["--bind", storage, workspace]),
    ...["--remount-ro", "/"],
    "--clearenv",
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

const ownPlaces = ["/proc", "/dev", "/tmp", workspace];

/** Each place by itself, since a root that is one read-only mount has no room for a workspace. */
function rootPlaces(): string[] {
  return readdirSync("/").flatMap((name) => {
    const path = `/${name}`;
    if (ownPlaces.includes(path)) return [];
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
    return isLink ? ["--symlink", readlinkSync(path), path] : ["--ro-bind-try", path, path];
  });
}

/** Sockets of the machine's daemons (a container engine's is as good as root) and the user's own keys. */
function hiddenPlaces(): string[] {
  const own = [".ssh", ".aws", ".gnupg", ".kube", ".docker", ".config", ".netrc", ".npmrc", ".git-credentials"];
  const hidden = ["/run", ...own.map((name) => join(homedir(), name))].flatMap((path) => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return [];
    return found.isDirectory() ? ["--tmpfs", path] : ["--ro-bind", "/dev/null", path];
  });
  return [...hidden, ...nameResolution()];
}

/** /etc/resolv.conf is a link into /run where a daemon writes it. */
function nameResolution(): string[] {
  const file = "/etc/resolv.conf";
  const real = statSync(file, { throwIfNoEntry: false }) ? realpathSync(file) : file;
  return real === file ? [] : ["--ro-bind", real, real];
}
