import * as z from "zod";
import type { NewDisk } from "#core/disks/create.ts";
import { type Policy, reservation } from "#core/environments/record/policy.ts";
import type { Size } from "#core/environments/record/record.ts";
import { countOptions, findInstanceType, type InstanceType, instanceTypes, unitsPerNode } from "#core/fleet.ts";
import type { Settings } from "#core/settings.ts";
import { HOUR_MS } from "#core/units.ts";
import { isReceiverUrl } from "#core/webhooks/receiver.ts";
import { shownText } from "#http/answers/shown-text.ts";
import type { OtherWays } from "#http/request/unknown-fields.ts";
import { EnvVars } from "../../../shared/internal/env-vars.ts";
import { DEFAULT_SIZE_GB, DiskName, DiskSizeGb } from "../../disks/schemas.ts";
import {
  Command,
  durationHours,
  GithubName,
  GraceSeconds,
  githubName,
  githubNameRule,
  Image,
  JobName,
  LONGEST_NAME,
  OnInterruption,
  PublicKey,
  RegistryAuth,
} from "./job-fields.ts";

const typeNames = instanceTypes.map((type) => type.name) as [string, ...string[]];

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const MOST_KEYS = 10;

const schedule = "A job starts as soon as there is room for it; submit it when it is to wait.";

export const otherJobFields: OtherWays = {
  ports: "Forward a port of the job by SSH, with `-L`.",
  schedule,
  cron: schedule,
};

export function Submission(settings: Settings) {
  return z
    .object({
      image: Image.describe(
        "The container image. The local stack records it and runs commands with the machine's own tools.",
      ),
      instance_type: z.enum(typeNames).describe("The machine, by its AWS name. A deployment may have more."),
      duration_hours: durationHours(settings)
        .default(1)
        .describe("Duration in hours. A shown job's duration includes its extensions."),
      min_duration_hours: durationHours(settings)
        .nullish()
        .describe(
          "The least hours that the job accepts, to start on machines that close before `duration_hours` are over, as at the end of a Capacity Block. It then ends before they close. By default it waits for other machines.",
        ),
      disk_name: DiskName.nullish().describe(
        "The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name.",
      ),
      disk_size_gb: DiskSizeGb.nullish().describe(
        "Size in GB of a disk that this submit creates; ignored for an existing disk.",
      ),
      env_vars: EnvVars.nullish().describe(
        "Variables of the job's processes: at most 100, 32 KiB in all. Numbers and booleans become texts. `PATH`, `LD_*`, `KUBERNETES_*`, `AWS_*` and `__proto__` are refused.",
      ),
      command: Command,
      gpu_type: z
        .string()
        .nullish()
        .describe("The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type."),
      gpu_count: z
        .int()
        .nullish()
        .describe(
          "Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine.",
        ),
      name: JobName,
      github_user: GithubName.nullish().describe("The GitHub user whose SSH keys open the job once it is active."),
      ssh_public_keys: z
        .array(PublicKey)
        .max(MOST_KEYS)
        .nullish()
        .describe(
          "At most 10 public SSH keys that open the job once it is active, each in one line of at most 4,096 characters, without options.",
        ),
      webhook_url: z
        .string()
        .refine(isReceiverUrl, "webhook_url must be a valid http or https URL")
        .nullish()
        .describe(
          "The URL that receives each change of the job's phase, in the order of `sequence`. No answer ever shows it.",
        ),
      jupyter_enabled: z
        .boolean()
        .nullish()
        .describe("Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests."),
      registry_auth: RegistryAuth.nullish().describe(
        "The login with which the job's machines pull the image, for a private registry. No answer ever shows it. The local stack pulls no image.",
      ),
      grace_seconds: GraceSeconds.nullish().describe(
        "Seconds from SIGTERM to SIGKILL when the job's command is ended, for example to write a checkpoint. By default those of the deployment.",
      ),
      on_interruption: OnInterruption.nullish().describe(
        "What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time.",
      ),
    })
    .superRefine(
      (body, ctx) => {
        for (const { type, path, message } of contradictions(body)) {
          ctx.addIssue({ code: "custom", params: { type }, path, message });
        }
      },
      // An issue without a path means that the body is not an object.
      { when: ({ issues }) => !issues.some(({ path = [] }) => path.length === 0 || sizeFields.has(path[0])) },
    )
    .meta({ id: "SubmitJob" });
}

/** If these fields are well-formed, they are checked against each other, even if other fields are wrong. */
const sizeFields: ReadonlySet<unknown> = new Set([
  "instance_type",
  "env_vars",
  "gpu_type",
  "gpu_count",
  "duration_hours",
  "min_duration_hours",
  "name",
  "github_user",
]);

export type Submission = z.output<ReturnType<typeof Submission>>;

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Returns the requested named disk. The size matters only for a new disk. */
export function getDisk({ disk_name: name, disk_size_gb }: Submission): NewDisk | undefined {
  if (name === undefined || name === null) return undefined;
  return { name, sizeGb: disk_size_gb ?? DEFAULT_SIZE_GB };
}

/** Returns the id that the predecessor's client generates and later queries. */
export function findReservationId({ env_vars }: Submission): string | undefined {
  return env_vars?.RESERVATION_ID?.toLowerCase();
}

/** Ignores a blank command, which an empty variable produces: a shell would exit at once. */
export function getCommand({ command }: Submission): string | undefined {
  return command?.trim() ? command : undefined;
}

export function getName(body: Submission): string | undefined {
  return body.name ?? findOldName(body);
}

export function getPolicy({ on_interruption, grace_seconds, min_duration_hours }: Submission): Policy {
  return {
    ...reservation,
    ...(min_duration_hours && { leastMs: Math.round(min_duration_hours * HOUR_MS) }),
    ...(on_interruption === "requeue" && { onInterruption: "requeue" }),
    ...(grace_seconds && { ownGraceSeconds: grace_seconds }),
  };
}

function findOldName({ env_vars }: Submission): string | undefined {
  return env_vars?.POD_NAME?.trim() || undefined;
}

/**
 * Reports whether Jupyter is requested. The variable takes precedence: a resubmitted job says false until Jupyter
 * answers.
 */
export function wantsJupyter({ env_vars, jupyter_enabled }: Submission): boolean {
  const variable = env_vars?.JUPYTER_ENABLED;
  return variable === undefined ? jupyter_enabled === true : findTruth(variable) === true;
}

const truths = new Map([
  ...["true", "1", "yes", "on"].map((word) => [word, true] as const),
  ...["false", "0", "no", "off", ""].map((word) => [word, false] as const),
]);

/**
 * Parses a boolean as people write it in variables, such as Python's `True` or `1`. Returns undefined for other text.
 */
function findTruth(text: string): boolean | undefined {
  return truths.get(text.trim().toLowerCase());
}

/**
 * Returns the requested size. Body fields take precedence over `env_vars` of old clients, and these over the table of
 * machines.
 */
export function getSize(body: Submission): Size {
  const type = getInstanceType(body.instance_type);
  const gpus = body.gpu_count ?? numberIn(body.env_vars?.GPU_COUNT) ?? type.gpus;
  const machines = Math.max(1, Math.ceil(gpus / unitsPerNode(type)));
  return {
    pool: type.pool,
    instanceType: type.name,
    machines,
    units: type.gpus === 0 ? 1 : gpus / machines,
    gpus,
    wantedMs: Math.round(body.duration_hours * HOUR_MS),
  };
}

export function listSmallerSizes(body: Submission): Size[] {
  const { gpus } = getSize(body);
  const smaller = countOptions(getInstanceType(body.instance_type)).filter((count) => count < gpus);
  return smaller.map((count) => getSize({ ...body, gpu_count: count }));
}

interface Contradiction {
  readonly type?: string;
  readonly path: string[];
  readonly message: string;
}

function contradictions(body: Submission): Contradiction[] {
  const type = getInstanceType(body.instance_type);
  const { GPU_TYPE: oldType, GPU_COUNT: oldCount, GITHUB_USER: oldUser } = body.env_vars ?? {};
  const { RESERVATION_ID: oldId, JUPYTER_ENABLED: oldJupyter } = body.env_vars ?? {};
  const found: Contradiction[] = [];
  if (!isAbsent(body.gpu_type) && body.gpu_type !== type.pool) {
    found.push({ path: ["gpu_type"], message: `${type.name} has GPUs of type ${type.pool}` });
  }
  if (!isAbsent(body.gpu_count) && !fits(type, body.gpu_count ?? 0)) {
    found.push({ path: ["gpu_count"], message: getCounts(type) });
  }
  if ((body.min_duration_hours ?? 0) > body.duration_hours) {
    found.push({ path: ["min_duration_hours"], message: "min_duration_hours is at most duration_hours" });
  }
  if (oldType !== undefined && isAbsent(body.gpu_type) && oldType.toLowerCase() !== type.pool) {
    found.push({ path: ["env_vars", "GPU_TYPE"], message: `${type.name} has GPUs of type ${type.pool}` });
  }
  if (oldCount !== undefined && isAbsent(body.gpu_count) && !fits(type, numberIn(oldCount) ?? -1)) {
    found.push({ path: ["env_vars", "GPU_COUNT"], message: getCounts(type) });
  }
  const oldName = findOldName(body);
  if (oldName && isAbsent(body.name) && !(oldName.length <= LONGEST_NAME && shownText.test(oldName))) {
    found.push({ path: ["env_vars", "POD_NAME"], message: "Name must be printable and at most 128 characters" });
  }
  if (oldId !== undefined && !uuid.test(oldId)) {
    found.push({ path: ["env_vars", "RESERVATION_ID"], message: "RESERVATION_ID must be a UUID" });
  }
  if (oldJupyter !== undefined && findTruth(oldJupyter) === undefined) {
    found.push({ path: ["env_vars", "JUPYTER_ENABLED"], message: "JUPYTER_ENABLED must be true or false" });
  }
  if (oldUser && isAbsent(body.github_user) && !githubName.test(oldUser)) {
    found.push({ type: "string_pattern_mismatch", path: ["env_vars", "GITHUB_USER"], message: githubNameRule });
  }
  return found;
}

function fits(type: InstanceType, count: number): boolean {
  return countOptions(type).includes(count);
}

function getCounts(type: InstanceType): string {
  return `${type.name} offers ${countOptions(type).join(", ")} GPUs`;
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

function getInstanceType(name: string): InstanceType {
  const type = findInstanceType(name);
  if (!type) throw new Error(`The schema admitted instance type ${name}, which is not in the table`);
  return type;
}

/** The first one is small, so that one click in Swagger does not take a whole machine. */
export const exampleSubmissions = {
  "One GPU for one hour": {
    image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
    instance_type: "p5.48xlarge",
    gpu_count: 1,
    duration_hours: 1,
  },
  "Eight GPUs for four hours": {
    image: "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
    instance_type: "p5.48xlarge",
    duration_hours: 4,
  },
};
