import { spawn } from "node:child_process";
import { once } from "node:events";
import { enteringUser } from "../network/network.ts";
import { systemPath } from "./environment.ts";

/** Terminals of one sandbox. Linux has 3,072 for all sandboxes of a machine (/proc/sys/kernel/pty/max, less a reserve). */
export const mostTerminals = 256;

/** A remount forgets what it does not name. The rest is what bubblewrap mounts. */
const options = `remount,nosuid,noexec,newinstance,ptmxmode=0666,mode=620,max=${mostTerminals}`;

/**
 * Limits the terminals of the sandbox with this first process (mount option `max` of devpts). bubblewrap has no option for
 * it. Where the kernel refuses the remount, the sandbox stays without the limit.
 */
export async function limitTerminals(pid: string): Promise<void> {
  const words = ["nsenter", "--target", pid, ...enteringUser(), "--mount", "--", "mount", "-o", options, "/dev/pts"];
  const [file = "", ...args] = words;
  const child = spawn(file, args, { cwd: "/", env: { PATH: systemPath }, stdio: "ignore" });
  await once(child, "exit").catch(() => undefined);
}
