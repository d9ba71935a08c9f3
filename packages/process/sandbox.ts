import { spawnSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { systemPath } from "./environment.ts";

/** Whether bubblewrap is here and can really make the sandbox that runs get (in many containers it cannot). */
export function canSandbox(home: string): boolean {
  const words = [...sandboxOptions({ home, work: undefined, env: {} }), "--", "/bin/sh", "-c", "exit 0"];
  return spawnSync("bwrap", words, { env: { PATH: systemPath }, stdio: "ignore", timeout: 5_000 }).status === 0;
}

export interface SandboxRequest {
  /** Hidden: keys, records and the other runs. */
  readonly home: string;
  /** The only writable place besides a private /tmp. */
  readonly work: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Own user, pid, ipc and uts namespaces without capabilities, the machine's file system read-only, its network
 * shared. The environment is set here, so that nothing of it acts on bubblewrap itself (LD_PRELOAD would).
 */
export function sandboxOptions({ home, work, env }: SandboxRequest): string[] {
  return [
    ...["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"],
    "--die-with-parent",
    ...["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...hiddenPlaces(),
    ...["--tmpfs", home],
    ...(work === undefined ? [] : ["--bind", work, work, "--chdir", work]),
    ...["--remount-ro", home],
    "--clearenv",
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
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
