import { spawn } from "node:child_process";
import { once } from "node:events";
import { enteringUser } from "../network/network.ts";
import { systemPath } from "./environment.ts";

/** Linux has 3,072 for all sandboxes of a machine (/proc/sys/kernel/pty/max, less a reserve). */
export const mostTerminals = 256;

/** A remount resets options that it does not name. The others are those of bubblewrap. */
const options = `remount,nosuid,noexec,newinstance,ptmxmode=0666,mode=620,max=${mostTerminals}`;

/** Limits the terminals of a sandbox (devpts option `max`, which bubblewrap lacks), if the kernel allows it. */
export async function limitTerminals(pid: string): Promise<void> {
  const words = ["nsenter", "--target", pid, ...enteringUser(), "--mount", "--", "mount", "-o", options, "/dev/pts"];
  const [file = "", ...args] = words;
  const child = spawn(file, args, { cwd: "/", env: { PATH: systemPath }, stdio: "ignore" });
  await once(child, "exit").catch(() => undefined);
}
