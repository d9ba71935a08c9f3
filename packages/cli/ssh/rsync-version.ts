import { spawnSync } from "node:child_process";
import { CliError, exitCodes } from "../failure.ts";
import { printable } from "../terminal/text.ts";

/**
 * Reports whether this machine has an rsync that a hostile job cannot lead outside of the directory of a copy. Older
 * ones can be led (CVE-2024-12086, -12087 and -12088, all fixed in 3.4.0: https://kb.cert.org/vuls/id/952657). The
 * program of that name on macOS is another one, and reads no list of files.
 */
export function hasSafeRsync(): boolean {
  return isSafeVersion(rsyncVersion());
}

/** Throws if a copy out of a job would use an rsync that the job can lead elsewhere. A missing rsync is not judged. */
export function refuseUnsafeRsync(): void {
  const version = rsyncVersion();
  if (version === "" || isSafeVersion(version)) return;
  const [firstLine = ""] = version.split("\n");
  throw new CliError(
    `A job could make this rsync write outside of the directory that you name: ${printable(firstLine.trim())}`,
    exitCodes.failed,
    "Install rsync 3.4.0 or newer here, or copy with: berth cp -r NAME:path .",
  );
}

/** Returns what this machine's rsync can be used for. No command but `berth rsync` needs one. */
export function describeRsync(): string {
  const version = rsyncVersion();
  const [firstLine = ""] = version.split("\n");
  if (version === "")
    return "none: berth rsync does not work, and berth run copies by tar. Install it, for example with: apt install rsync";
  if (isSafeVersion(version)) return printable(firstLine.trim());
  return `${printable(firstLine.trim())}: berth rsync copies nothing out of a job, and berth run copies by tar. Install 3.4.0 or newer`;
}

function rsyncVersion(): string {
  return spawnSync("rsync", ["--version"], { encoding: "utf8" }).stdout ?? "";
}

/** Matches the first line of `rsync --version`: `rsync  version 3.4.1  protocol version 32`. */
function isSafeVersion(text: string): boolean {
  const [, major, minor] = /^rsync +version v?(\d+)\.(\d+)/.exec(text) ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 4);
}
