import * as z from "zod/mini";
import { machineTypes } from "./machines.ts";

/** The words of a key are its description for editors, and what an error says that the key takes. */
function key<Schema extends z.ZodMiniType>(schema: Schema, takes: string) {
  return z.optional(schema).check(z.describe(takes));
}

const text = (most: number) => z.string().check(z.minLength(1), z.maxLength(most));
const durationText = z.string().check(z.regex(/^(\d+(\.\d+)?|\.\d+)[smhd]?$/));
const texts = (most: number) => z.union([text(most), z.array(text(most)).check(z.minLength(1), z.maxLength(1000))]);
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression excludes control characters.
const jobName = text(128).check(z.regex(/^[^\u0000-\u001f\u007f-\u009f]+$/));
const diskName = z.string().check(z.regex(/^[a-zA-Z0-9_-]{1,64}$/));
const machineType = z.string().check(z.regex(/^[a-z0-9.-]{1,40}$/));
const variableName = z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/));
const githubUser = z.string().check(z.maxLength(39), z.regex(/^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$/));

/** The keys of berth.yaml, which are the flags of `berth up`. */
export const JobFile = z.strictObject({
  name: key(jobName, "the job's name: text of 1 to 128 characters"),
  type: key(
    z.union([z.enum(machineTypes), machineType]),
    `a type of machine: ${machineTypes.join(", ")}, or one that only this deployment has`,
  ),
  gpus: key(
    z.int().check(z.minimum(0), z.maximum(512)),
    "a number of GPUs: 1, 2, 4 and so on of a machine, or all GPUs of up to 8 machines",
  ),
  hours: key(z.union([z.number().check(z.positive()), durationText]), "a time: 2 for hours, 90m or 1.5h"),
  min_hours: key(
    z.union([z.number().check(z.positive()), durationText]),
    "the least time that the job accepts on machines that close before its end: 2 for hours, 90m or 1.5h",
  ),
  image: key(text(1024), "a container image: text"),
  disk: key(diskName, "a disk: at most 64 letters, digits, hyphens and underscores. It is made if there is none"),
  disk_size: key(z.int().check(z.minimum(10), z.maximum(10_000)), "the size of a new disk in GB: 10 to 10000"),
  env: key(
    z.record(variableName, z.union([z.string(), z.number(), z.boolean()])),
    "environment variables: a mapping of names to text, numbers, true or false",
  ),
  github: key(githubUser, "a GitHub user whose SSH keys get in"),
  grace: key(
    z.union([z.number().check(z.positive()), durationText]),
    "the time from SIGTERM to SIGKILL of the command: 30s or 2m",
  ),
  jupyter: key(z.boolean(), "true to start Jupyter, or false"),
  requeue: key(
    z.boolean(),
    "true to return the job to the queue if its machine is taken back, drained or lost, or false",
  ),
  command: key(texts(16_384), "a command: a line for the shell, or a list of words"),
  pull: key(texts(4096), "paths that `berth run` copies back: one path, or a list"),
});

/** Returns the JSON schema of berth.yaml, for editors. */
export function jobFileSchema(): object {
  const title = "A job of Berth, for `berth up`";
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...z.toJSONSchema(JobFile) };
}
