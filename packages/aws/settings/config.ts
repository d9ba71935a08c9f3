import * as z from "zod";
import type { allSettingSchemas } from "./pod-setting-schemas.ts";
import { settingSchemas } from "./setting-schemas.ts";

export type Config = {
  [Name in keyof typeof allSettingSchemas]: z.output<ReturnType<(typeof allSettingSchemas)[Name]>>;
};
export type ConfigName = keyof Config;
/** Schemas by the names of their settings. */
type Schemas = Readonly<Partial<Record<ConfigName, () => z.ZodType>>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the named settings. An empty variable counts as absent. Throws one error with every bad setting. */
export function readConfig<Name extends keyof typeof settingSchemas>(
  names: readonly Name[],
  environment: Environment = process.env,
): Pick<Config, Name> {
  return readConfigOf(settingSchemas, names, environment);
}

/** Does the same as `readConfig`, with other schemas. */
export function readConfigOf<Name extends ConfigName>(
  schemas: Schemas & Readonly<Record<Name, () => z.ZodType>>,
  names: readonly Name[],
  environment: Environment = process.env,
): Pick<Config, Name> {
  const { result, lines } = parsed(schemas, names, environment);
  if (lines.length > 0) throw new Error(`Bad settings:\n${lines.join("\n")}`);
  return result.data as Pick<Config, Name>;
}

/** Returns a line for each setting that a function on Lambda would refuse at its init. Lines contain no secrets. */
export function problemsOnLambda(
  names: readonly ConfigName[],
  environment: Environment,
  schemas: Schemas = settingSchemas,
): string[] {
  return parsed(schemas, names, { ...environment, AWS_LAMBDA_FUNCTION_NAME: "any" }).lines;
}

/** Returns the settings that a function on Lambda receives (stacks/compute/functions.ts), else undefined. */
export function givenSettings(environment: Environment): readonly string[] | undefined {
  return environment.AWS_LAMBDA_FUNCTION_NAME === undefined ? undefined : environment.SETTINGS?.split(",");
}

function parsed(schemas: Schemas, names: readonly ConfigName[], environment: Environment) {
  const entries = names.map((name) => [name, environment[name] || undefined]);
  const schema = z.object(Object.fromEntries(names.map((name) => [name, findSchema(schemas, name)()])));
  // Compiling a schema that parses once would cost a millisecond of a function's init.
  const result = schema.safeParse(Object.fromEntries(entries), { jitless: true });
  const onLambda = environment.AWS_LAMBDA_FUNCTION_NAME === undefined ? [] : badOnLambda(names, environment);
  const grantedNames = givenSettings(environment);
  const notGiven = grantedNames ? names.filter((name) => !grantedNames.includes(name)) : [];
  const refused = notGiven.map((name) => `  ${name} is not passed to this function`);
  return { result, lines: [...refused, ...onLambda, ...(result.error?.issues.map(formatLine) ?? [])] };
}

function findSchema(schemas: Schemas, name: ConfigName): () => z.ZodType {
  const schema = schemas[name];
  if (!schema) throw new Error(`There is no setting ${name} among these`);
  return schema;
}

/** Returns the problems on Lambda: names of resources have no default there, since it could be another deployment's. */
function badOnLambda(names: readonly ConfigName[], environment: Environment): string[] {
  const missing = names.filter((name) => givenOnLambda.includes(name) && !environment[name]);
  const isTooLong = names.includes("EXEC_CAP_SECONDS") && Number(environment.EXEC_CAP_SECONDS) > LONGEST_EXEC_SECONDS;
  const tooLong = `  EXEC_CAP_SECONDS must be at most ${LONGEST_EXEC_SECONDS} on Lambda`;
  return [...missing.map((name) => `  ${name} must be set`), ...(isTooLong ? [tooLong] : [])];
}

/** Five less than CloudFront's origin read timeout, which is 120 unless AWS raises it (stacks/edge/edge.ts). */
const LONGEST_EXEC_SECONDS = 115;

const givenOnLambda: readonly ConfigName[] = [
  "TABLE_NAME",
  "LOGIN_SERVER_ID",
  "DOMAIN",
  "ALLOWED_ACCOUNTS",
  "ALLOWED_ROLES",
];

function formatLine({ path, message }: z.core.$ZodIssue): string {
  return `  ${String(path[0])} ${message}`;
}
