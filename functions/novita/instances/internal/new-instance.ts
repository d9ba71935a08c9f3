import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import type { Policy } from "#core/environments/record/policy.ts";
import type { Size } from "#core/environments/record/record.ts";
import type { NewEnvironment } from "#core/environments/verbs/create.ts";
import { findInstanceType, unitsPerNode } from "#core/fleet.ts";
import type { RunPort } from "#core/ports/compute.ts";
import { Problem } from "#core/problem.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { MINUTE_MS } from "#core/units.ts";
import { checkReceiver, isReceiverUrl } from "#core/webhooks/receiver.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { publishedGithubName } from "#http/published-patterns.ts";
import type { Catalogue, Product } from "../../internal/catalogue.ts";

/** A guess for the plan, because an instance has no end. */
const USUAL_MS = 8 * 60 * MINUTE_MS;
const READY_WITHIN_MS = 10 * MINUTE_MS;
/** GitHub's own rule for names. */
const githubName = /^[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?=[a-zA-Z0-9])){0,38}$/;

/** docs/apis/novita.md#auto-stop. */
export const idlePolicy = { afterMs: 20 * MINUTE_MS, everyMs: 5 * MINUTE_MS };

export const WebhookUrl = z
  .string()
  .refine(isReceiverUrl, "webhookUrl must be a valid http or https URL")
  .nullish()
  .transform((url) => url ?? undefined);

export function required(words: string) {
  const error = ({ input }: { readonly input?: unknown }) =>
    input === undefined || input === null ? words : undefined;
  return z.string({ error }).min(1, words);
}

export function InstanceBody({ products, templates, regions }: Catalogue) {
  return z
    .object({
      name: required("Name is required")
        .max(100)
        .regex(/^[a-zA-Z0-9_-]+$/, "Name must contain only alphanumeric characters, hyphens, and underscores")
        .describe("The instance's name. Two instances may have the same one."),
      productName: required("Product name is required")
        .max(200)
        .refine((name) => products.find(name) !== undefined, "Product is not in the catalogue")
        .describe("The product of the catalogue: the kind of machine."),
      templateId: z
        .preprocess(
          numberAsText,
          required("Template ID is required").refine(
            (id) => templates.find(id) !== undefined,
            "Template is not in the catalogue",
          ),
        )
        .describe("The template of the catalogue, with the installed software. A number is read as text."),
      webhookUrl: WebhookUrl.describe(
        "The URL that receives each step of the instance, in the order of `sequence`. No answer ever shows it.",
      ),
      gpuNum: z.int().min(1).max(8).default(1).describe("Number of GPUs."),
      rootfsSize: z.int().min(20).max(1000).default(60).describe("Size in GB of the storage at `/workspace`."),
      region: z
        .string()
        .refine((region) => regions.includes(region), `Region must be one of: ${regions.join(", ")}`)
        .default(regions[0] ?? "")
        .describe("The region of the catalogue, a label."),
      githubUser: z
        .string()
        .regex(githubName, "githubUser must be the name of a GitHub user")
        .meta(publishedGithubName)
        .optional()
        .describe("The GitHub user whose SSH keys may log in."),
    })
    .superRefine(
      ({ productName, gpuNum }, ctx) => {
        const most = products.find(productName)?.gpus ?? gpuNum;
        if (gpuNum <= most) return;
        const message = `${productName} has at most ${most} GPUs`;
        ctx.addIssue({ code: "custom", path: ["gpuNum"], message, input: gpuNum });
      },
      { when: ({ issues }) => issues.length === 0 },
    );
}

export type InstanceBody = z.output<ReturnType<typeof InstanceBody>>;

export function newInstance(catalogue: Catalogue, resource: NewResource, body: InstanceBody): NewEnvironment {
  const { name, productName, templateId, gpuNum, rootfsSize, region, githubUser, webhookUrl } = body;
  const product = catalogue.products.find(productName);
  const template = catalogue.templates.find(templateId);
  if (!product || !template) throw new Error("The schema accepted a product or template that the catalogue lacks");
  return {
    ...resource,
    name,
    labels: { productName, templateId, region, gpuNum: String(gpuNum), rootfsSize: String(rootfsSize) },
    size: getSize(product, gpuNum),
    image: template.image,
    command: template.command,
    env: template.env,
    guest: githubUser,
    jupyter: template.jupyter,
    policy: policyFor(),
    volumes: [{ name: "rootfs", path: "/workspace", sizeGb: rootfsSize }],
    ports: selectPorts(template, undefined),
    receiver: webhookUrl,
  };
}

/** Waiting for capacity counts towards the time until ready (docs/apis/novita.md#statuses). */
export function policyFor(readyWithinMs: number = READY_WITHIN_MS): Policy {
  return {
    time: "none",
    restarts: true,
    idle: idlePolicy,
    archives: null,
    readyWithinMs,
    firstFailure: "keeps",
    forgetsSpec: false,
  };
}

export function selectPorts({ ports }: { readonly ports: readonly RunPort[] }, target: number | undefined): RunPort[] {
  if (target === undefined || ports.some(({ port }) => port === target)) return [...ports];
  return [...ports, { port: target, kind: "http" }];
}

/** Distributes GPUs evenly, rounded up, over the fewest machines. */
function getSize({ instanceType }: Product, gpus: number): Size {
  const type = findInstanceType(instanceType);
  if (!type) throw new Error(`The catalogue names ${instanceType}, which is not an instance type`);
  const machines = Math.ceil(gpus / unitsPerNode(type));
  const units = Math.ceil(gpus / machines);
  return { pool: type.pool, instanceType, machines, units, gpus: units * machines, wantedMs: USUAL_MS };
}

function numberAsText(value: unknown): unknown {
  return typeof value === "number" && Number.isFinite(value) ? String(value) : value;
}

/** Refuses a webhookUrl that must not be called, as a bad field. */
export async function refuseBadReceiver(ctx: UserContext<"fetch">, url: string | undefined): Promise<void> {
  if (url === undefined) return;
  try {
    await checkReceiver(ctx, url, "webhookUrl");
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== "invalid") throw error;
    const fields = (error.details.fields ?? []).map((field) => ({ ...field, isOwn: true }));
    throw new HttpError("badFields", { fields });
  }
}
