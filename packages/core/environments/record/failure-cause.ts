/** A failure's reason as one of a few words, for metrics: reasons are free text with names and numbers. */
export type FailureCause =
  | "command"
  | "killed"
  | "image"
  | "deadline"
  | "lost"
  | "placement"
  | "refused"
  | "disk"
  | "stack"
  | "other";

export function failureCause(reason: string | null): FailureCause {
  return causes.find(([pattern]) => pattern.test(reason ?? ""))?.[1] ?? "other";
}

const causes: readonly (readonly [RegExp, FailureCause])[] = [
  [/^Refused by the cluster|^The cluster refuses/, "refused"],
  [/^command exited|^(The )?command could not be started/, "command"],
  [/killed/, "killed"],
  [/^Not ready after/, "deadline"],
  [/^No machine could start it|^Its machine came/, "placement"],
  [/^Disk '|volume/, "disk"],
  [/local stack was stopped/, "stack"],
  [/disappeared|not by Berth|lost|evicted|machine was (restarted|taken|shut down)/, "lost"],
  [/image/i, "image"],
];
