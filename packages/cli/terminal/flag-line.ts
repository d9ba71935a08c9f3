import { usualImage } from "../jobs/defaults.ts";
import type { JobSettings } from "../jobs/submit-request.ts";
import { printable, shellWord } from "./text.ts";

/**
 * Returns the command line with the flags that name these settings, broken for a terminal as a shell allows. Values of
 * variables may be secrets, so it leaves them out. The server chose the name of the disk, so no line break of it is
 * kept.
 */
export function flagLine({ name, command = [], env = {}, ...settings }: JobSettings, columns: number): string {
  const { type, gpus, hours, disk, diskSize, github, registryUser, grace, jupyter, requeue } = settings;
  const isUsual = settings.image === usualImage && registryUser === undefined;
  const image = isUsual ? undefined : settings.image;
  const flags = Object.entries({
    type,
    gpus,
    hours,
    image,
    disk,
    "disk-size": diskSize,
    github,
    grace: grace && `${grace}s`,
    "registry-user": registryUser,
  });
  const quoted = (word: string) => (/^[\w@%+=:,./…-]+$/.test(word) ? word : shellWord(word));
  const parts = [
    `${registryUser === undefined ? "" : "REGISTRY_PASSWORD=… "}berth up${name === undefined ? "" : ` ${quoted(name)}`}`,
    ...flags.flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag} ${quoted(printable(String(value)))}`])),
    ...(jupyter ? ["--jupyter"] : []),
    ...(requeue ? ["--requeue"] : []),
    ...Object.keys(env).map((variable) => `--env ${variable}=…`),
    ...(command.length > 0 ? [`-- ${command.map(quoted).join(" ")}`] : []),
  ];
  return parts.reduce((line, part) => {
    const last = line.slice(line.lastIndexOf("\n") + 1);
    return last.length + part.length + 3 > columns ? `${line} \\\n  ${part}` : `${line} ${part}`;
  });
}
