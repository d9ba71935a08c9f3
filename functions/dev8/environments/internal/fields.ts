import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { shownText } from "#http/answers/shown-text.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";

const bases = ["node", "python", "go", "rust", "java"] as const;
const providers = ["AZURE", "AWS", "GCP"] as const;
const LONGEST_LINE = 128;
const withoutControls = /^\P{Cc}*$/u;
const MOST_SECRET_BYTES = 16 * 1024;

/** The client's own choice, unique only per owner (docs/apis/common.md#ids-and-times). */
export const idForm = /^[A-Za-z0-9][A-Za-z0-9_-]{9,62}$/;

/** The variables of secrets in a workspace, in the order of docs/apis/dev8.md#fields. No answer shows them. */
export const variableByKey = {
  githubToken: "GITHUB_TOKEN",
  codeServerPassword: "CODE_SERVER_PASSWORD",
  sshPublicKey: "SSH_PUBLIC_KEY",
  gitUserName: "GIT_USER_NAME",
  gitUserEmail: "GIT_USER_EMAIL",
  anthropicApiKey: "ANTHROPIC_API_KEY",
  openaiApiKey: "OPENAI_API_KEY",
  geminiApiKey: "GEMINI_API_KEY",
} as const;

/** The body of a create. The error names the first fault in the order of docs/apis/dev8.md#fields. */
export function CreateWorkspace(settings: ServedSettings) {
  const named = {
    name: line("name", shownText).describe("The workspace's name, for people."),
    userId: line("userId", shownText)
      .default("default-user")
      .describe("A label of your choice. It is not an identity: the API key decides who you are."),
  };
  const required = {
    ...named,
    baseImage: Base.default("node").describe("The language that is installed in the workspace."),
  };
  const provider = z.enum(providers).default("AZURE");
  return offered(
    settings,
    z.object({ ...fields, ...required, ...secrets, cloudProvider: provider.describe("A label of your choice.") }),
  ).meta({ id: "CreateEnvironment" });
}

/** The body of a start. Its text lines are checked once the stored ones are known. */
export function StartWorkspace(settings: ServedSettings) {
  return offered(settings, z.object({ ...fields, ...secrets })).meta({ id: "StartEnvironment" });
}

export function NamedWorkspace(settings: ServedSettings) {
  return offered(settings, z.object({ workspaceId: fields.workspaceId, cloudRegion: fields.cloudRegion })).meta({
    id: "NamedEnvironment",
  });
}

export function DeleteWorkspace(settings: ServedSettings) {
  const { workspaceId, cloudRegion } = fields;
  const force = z.boolean("force must be a boolean").default(false);
  return offered(
    settings,
    z.object({
      workspaceId,
      cloudRegion,
      force: force.describe("Whether to delete the workspace even while it runs."),
    }),
  ).meta({ id: "DeleteEnvironment" });
}

export type StartWorkspace = z.output<ReturnType<typeof StartWorkspace>>;

const Base = z.enum(bases, {
  error: ({ input }) => (typeof input === "string" && input !== "" ? unavailable("baseImage", input) : undefined),
});

const fields = {
  workspaceId: workspaceId().describe(
    "The workspace's id: your own choice of 10 to 63 letters, digits, hyphens and underscores.",
  ),
  name: line("name", withoutControls).describe("The workspace's name, for people."),
  userId: line("userId", withoutControls).describe(
    "A label of your choice. It is not an identity: the API key decides who you are.",
  ),
  cloudRegion: z
    .string()
    .min(1)
    .meta({ example: "centralindia" })
    .describe("The region. Later calls on the same workspace must name the same one."),
  cpuCores: between("cpuCores", 1, 4).describe("Number of CPU cores."),
  memoryGB: between("memoryGB", 2, 16).describe("Memory in GB."),
  storageGB: between("storageGB", 10, 100)
    .int("storageGB must be an integer")
    .describe("Size of the workspace volume in GB. A start keeps the size of the existing volume."),
  baseImage: Base.describe("The language that is installed in the workspace."),
};

const secrets = {
  githubToken: secret("githubToken").describe("A GitHub token, known only inside the workspace. Stop removes it."),
  codeServerPassword: secret("codeServerPassword").describe(
    "The password of VS Code. Without one Berth sets a random password.",
  ),
  sshPublicKey: secret("sshPublicKey").describe("The public key that may log in by SSH."),
  gitUserName: secret("gitUserName").describe("The user name in git's configuration."),
  gitUserEmail: secret("gitUserEmail").describe("The mail address in git's configuration."),
  anthropicApiKey: secret("anthropicApiKey").describe(
    "An Anthropic API key, known only inside the workspace. Stop removes it.",
  ),
  openaiApiKey: secret("openaiApiKey").describe("An OpenAI API key, known only inside the workspace. Stop removes it."),
  geminiApiKey: secret("geminiApiKey").describe("A Gemini API key, known only inside the workspace. Stop removes it."),
} as const satisfies Record<keyof typeof variableByKey, z.ZodType>;

/** Fields whose faults are reported after that of the region. */
const lateFields: ReadonlySet<unknown> = new Set([...Object.keys(secrets), "cloudProvider", "force"]);

function offered<S extends z.ZodType<{ readonly cloudRegion: string }>>({ regions }: ServedSettings, schema: S): S {
  return schema.superRefine(
    ({ cloudRegion }, ctx) => {
      if (regions.includes(cloudRegion)) return;
      ctx.addIssue({ code: "custom", path: ["cloudRegion"], message: unavailable("region", cloudRegion) });
    },
    { when: ({ issues }) => issues.every(({ path }) => lateFields.has(path?.[0])) },
  );
}

function unavailable(noun: string, name: string): string {
  return `${noun} ${name.slice(0, 64)} is not available`;
}

function workspaceId() {
  const [absent, bad] = ["workspaceId is required (UUID from database)", "workspaceId must be a valid UUID"];
  return z
    .string({ error: ({ input }) => (input === undefined || input === null ? absent : bad) })
    .min(1, absent)
    .regex(idForm, bad)
    .meta({ example: "test-workspace-001" });
}

/** Throws for a line with control characters, unless the workspace already has it from an earlier version. */
export function checkLines(body: StartWorkspace, lines: { readonly name: string; readonly userId: string }): void {
  for (const name of ["name", "userId"] as const) {
    if (body[name] !== lines[name] && !shownText.test(body[name])) throw new Problem("invalid", noControls(name));
  }
}

function line(name: string, form: RegExp) {
  return z
    .string()
    .min(1)
    .max(LONGEST_LINE)
    .regex(form, noControls(name))
    .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" });
}

function noControls(name: string): string {
  return `${name} must not contain control characters`;
}

function between(name: string, lowest: number, highest: number) {
  const message = `${name} must be between ${lowest} and ${highest}`;
  return z.number(message).min(lowest, message).max(highest, message);
}

function secret(name: string) {
  return z
    .string()
    .max(MOST_SECRET_BYTES)
    .refine((text) => Buffer.byteLength(text) <= MOST_SECRET_BYTES, `${name} is too long`)
    .refine((text) => !/\p{Cc}/u.test(text.replace(/[\t\n\r]/g, "")), noControls(name))
    .optional();
}
