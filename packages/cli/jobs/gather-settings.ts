import { statSync } from "node:fs";
import { wordsAfterDashes } from "../definitions/words-after-dashes.ts";
import { CliError, exitCodes } from "../failure.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { type JobSettings, mergeSettings, readVariables } from "./submit-request.ts";

/** The flags that name settings of a job. */
export interface SettingsFlags {
  readonly file?: string;
  readonly type?: string;
  readonly gpus?: number;
  readonly hours?: number;
  readonly minHours?: number;
  readonly image?: string;
  readonly disk?: string;
  readonly diskSize?: number;
  readonly env?: readonly string[];
  readonly github?: string;
  readonly registryUser?: string;
  readonly grace?: number;
  readonly jupyter: boolean;
}

/** Settings that only some commands offer. */
interface MoreFlags {
  readonly requeue?: boolean;
}

/** Returns the settings of the flags, and those of a file where no flag names them. */
export async function gatherSettings(flags: SettingsFlags & MoreFlags, name: string | undefined): Promise<JobSettings> {
  const settings = settingsOfFlags(flags, name);
  const isFound = flags.file === undefined && settings.type === undefined && hasUsualFile();
  const path = isFound ? usualName : flags.file;
  if (path === undefined) return settings;
  const { readJobFile } = await import("./job-file.ts");
  const fromFile = readJobFile(path);
  if (isFound) showUsualFile(fromFile, settings);
  return mergeSettings(fromFile, settings);
}

const usualName = "berth.yaml";

/** A file of another user, as in a shared directory, could run its command on the caller's disk. */
function hasUsualFile(): boolean {
  const found = statSync(usualName, { throwIfNoEntry: false });
  if (!found) return false;
  if (found.uid !== process.getuid?.()) {
    const hint = `Use it anyway with: -f ${usualName}. Leave it alone with: --type`;
    throw new CliError(`${usualName} in this directory belongs to another user`, exitCodes.usage, hint);
  }
  return true;
}

/** A cloned repository may hold a file that lets the keys of its author in, so the caller has to name such a file. */
function showUsualFile(fromFile: JobSettings, flags: JobSettings): void {
  const { github } = fromFile;
  if (github !== undefined && flags.github === undefined) {
    const hint = `Use it with: -f ${usualName}`;
    const words = `${usualName} of this directory lets the SSH keys of GitHub user '${printable(github)}' in`;
    throw new CliError(words, exitCodes.usage, hint);
  }
  const names = Object.entries(fromFile).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  say(`Using ${usualName} of this directory: ${names.join(", ")}.`);
}

/** Returns the settings that the command line names. */
function settingsOfFlags(
  { env, jupyter, requeue, ...flags }: SettingsFlags & MoreFlags,
  name: string | undefined,
): JobSettings {
  const { type, gpus, hours, minHours, image, disk, diskSize, github, registryUser, grace } = flags;
  if (registryUser !== undefined && image === undefined) {
    // A cloned berth.yaml could name a registry that collects passwords.
    const hint = "The login goes to the registry of that image";
    throw new CliError("--registry-user needs the image on the command line: --image", exitCodes.usage, hint);
  }
  const command = wordsAfterDashes();
  return {
    name,
    type,
    gpus,
    hours,
    minHours,
    image,
    disk,
    diskSize,
    github,
    registryUser,
    grace,
    env: env && readVariables(env),
    jupyter: jupyter || undefined,
    requeue: requeue || undefined,
    command: command.length > 0 ? command : undefined,
  };
}
