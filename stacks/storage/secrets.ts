import { problemsOnLambda } from "#aws/settings/config.ts";

const settings = { OriginSecrets: "ORIGIN_SECRETS", WebhookSecret: "WEBHOOK_SECRET" } as const;

/**
 * Reads a secret of the stage. An invalid one fails the deployment before it changes a function: otherwise all
 * functions would answer 5xx.
 */
export function readSecret(name: keyof typeof settings): $util.Output<string> {
  return new sst.Secret(name).value.apply((value) => checkedSecret(name, value));
}

/** Throws an error that names the problem and never the value. */
export function checkedSecret(name: keyof typeof settings, value: string): string {
  const setting = settings[name];
  const problems = value === "" ? [`  ${setting} must be set`] : problemsOnLambda([setting], { [setting]: value });
  if (problems.length > 0) throw new Error(`The secret ${name} cannot be deployed:\n${problems.join("\n")}`);
  return value;
}
