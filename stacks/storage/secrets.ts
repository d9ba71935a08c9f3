import { problemsOnLambda } from "#aws/settings/config.ts";

const settings = { OriginSecrets: "ORIGIN_SECRETS", WebhookSecret: "WEBHOOK_SECRET" } as const;

/**
 * A secret of the stage. Where functions would refuse it at their init the deployment ends before it changes one: they
 * would answer nothing but 5xx.
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
