import type { Berth } from "../../sdk/berth.ts";
import type { SubmitJob } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { shellCommand } from "../terminal/text.ts";
import { usualHours, usualImage } from "./defaults.ts";
import { findMachine } from "./machines.ts";

/** The settings of a new job, as flags, a file or answers give them. The rest has defaults. */
export interface JobSettings {
  readonly name?: string | undefined;
  readonly type?: string | undefined;
  readonly gpus?: number | undefined;
  readonly hours?: number | undefined;
  readonly minHours?: number | undefined;
  readonly image?: string | undefined;
  readonly disk?: string | undefined;
  readonly diskSize?: number | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly github?: string | undefined;
  readonly registryUser?: string | undefined;
  /** Seconds. */
  readonly grace?: number | undefined;
  readonly jupyter?: boolean | undefined;
  readonly requeue?: boolean | undefined;
  /** One word is a line for the job's shell. Several words reach the program as they are. */
  readonly command?: readonly string[] | undefined;
  /** Paths that `berth run` copies back. */
  readonly pull?: readonly string[] | undefined;
}

/** Returns the body of a submit without its login to a registry. Refuses settings without a type. */
export async function submitRequest(
  berth: Berth,
  { command = [], ...settings }: JobSettings,
  signal?: AbortSignal,
): Promise<SubmitJob> {
  const { type, name, gpus, hours = usualHours, image = usualImage, disk, diskSize, env, github } = settings;
  if (type === undefined) {
    throw new CliError("Say which type of machine: --type", exitCodes.usage, "See what is free with: berth avail");
  }
  const machine = await findMachine(berth, type, signal);
  if (machine.gpuCount === 0 && gpus) {
    throw new CliError(`Machines of type ${type} have no GPUs`, exitCodes.usage, "Leave the number of GPUs out");
  }
  return {
    image,
    instance_type: machine.instanceType,
    gpu_count: machine.gpuCount === 0 ? 0 : (gpus ?? 1),
    duration_hours: hours,
    ...(settings.minHours !== undefined && { min_duration_hours: settings.minHours }),
    ...(name !== undefined && { name }),
    ...(disk !== undefined && { disk_name: disk }),
    ...(diskSize !== undefined && { disk_size_gb: diskSize }),
    ...(env !== undefined && { env_vars: env }),
    ...(github !== undefined && { github_user: github }),
    ...(settings.grace !== undefined && { grace_seconds: settings.grace }),
    ...(settings.jupyter && { jupyter_enabled: true }),
    ...(settings.requeue && { on_interruption: "requeue" as const }),
    ...(command.length > 0 && { command: shellCommand(command) }),
  };
}

export type RegistryLogin = NonNullable<SubmitJob["registry_auth"]>;

/**
 * Returns the login of `--registry-user`. The password is in the environment, because others on this machine can read
 * command lines.
 */
export function readRegistryLogin(username: string | undefined): RegistryLogin | undefined {
  if (username === undefined) return undefined;
  const { REGISTRY_PASSWORD: password } = process.env;
  if (password) return { username, password };
  const hint = "For example: REGISTRY_PASSWORD=$(cat token) berth up --registry-user …";
  throw new CliError("--registry-user needs the password in REGISTRY_PASSWORD", exitCodes.usage, hint);
}

/** Reads the values of `--env`, which are `NAME=VALUE`. */
export function readVariables(pairs: readonly string[]): Record<string, string> {
  const variables = pairs.map((pair) => {
    const at = pair.indexOf("=");
    // A value may be a secret, so the message leaves it out.
    if (at < 1)
      throw new CliError(
        "--env takes NAME=VALUE, with a name before the =",
        exitCodes.usage,
        "For example: --env SEED=1",
      );
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(variables);
}

/** Overrides the first settings with the second. Merges their variables. */
export function mergeSettings(settings: JobSettings, winning: JobSettings): JobSettings {
  const definedEntries = Object.entries(winning).filter(([, value]) => value !== undefined);
  const env = settings.env || winning.env ? { ...settings.env, ...winning.env } : undefined;
  return { ...settings, ...Object.fromEntries(definedEntries), ...(env && { env }) };
}
