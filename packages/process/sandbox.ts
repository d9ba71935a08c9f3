import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { systemPath } from "./environment.ts";
import { toolPlaces } from "./tools.ts";

/** Whether bubblewrap is here and can really make the sandbox that runs get (in many containers it cannot). */
export function canSandbox(home: string): boolean {
  const words = [
    ...sandboxOptions({ home, work: undefined, start: undefined, binds: [], env: {} }),
    "--",
    "/bin/sh",
    "-c",
    "exit 0",
  ];
  return spawnSync("bwrap", words, { env: { PATH: systemPath }, stdio: "ignore", timeout: 5_000 }).status === 0;
}

/** Where a sandbox shows its disk, or what stands for one. */
export const workspace = "/workspace";

/** A directory of this machine, and the place at which a sandbox shows it. */
export interface Bind {
  readonly from: string;
  /** Absolute. */
  readonly path: string;
}

export interface SandboxRequest {
  /** Hidden: keys, records and the other runs. */
  readonly home: string;
  /** The only writable place besides the volumes and a private /tmp. */
  readonly work: string | undefined;
  /** Where its first process begins. */
  readonly start: string | undefined;
  /** Volumes, or what stands for one, at their places. */
  readonly binds: readonly Bind[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Own user, pid, ipc and uts namespaces without capabilities, the machine's file system read-only, its network
 * shared. The environment is set here, so that nothing of it acts on bubblewrap itself (LD_PRELOAD would).
 */
export function sandboxOptions({ home, work, start, binds, env }: SandboxRequest): string[] {
  const places = binds.map(({ path }) => path);
  return [
    ...["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"],
    "--die-with-parent",
    ...readOnlyPlaces("/", [...ownPlaces, ...places]),
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...hiddenPlaces(),
    ...volumePlaces(binds),
    ...["--tmpfs", home],
    ...(work === undefined ? [] : ["--bind", work, work]),
    ...toolPlaces(home),
    ...["--remount-ro", home],
    ...["--remount-ro", "/"],
    ...(start === undefined ? [] : ["--chdir", start]),
    "--clearenv",
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

const ownPlaces = ["/proc", "/dev", "/tmp", workspace];

/**
 * Each place by itself, but for those that are shown otherwise: a directory that is one read-only mount has no room for
 * another in it.
 */
function readOnlyPlaces(directory: string, others: readonly string[]): string[] {
  return namesIn(directory).flatMap((name) => {
    const path = join(directory, name);
    if (others.includes(path)) return [];
    const found = lstatSync(path, { throwIfNoEntry: false });
    const holdsOther = others.some((other) => other.startsWith(`${path}/`));
    if (holdsOther) return found?.isDirectory() ? readOnlyPlaces(path, others) : [];
    return found?.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind-try", path, path];
  });
}

/** What this user cannot list stays hidden. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Those that hold others first. */
function volumePlaces(binds: readonly Bind[]): string[] {
  const outward = binds.toSorted((one, other) => one.path.length - other.path.length);
  return outward.flatMap(({ from, path }) => ["--bind", from, path]);
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
