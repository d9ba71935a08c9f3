import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { findCliPackage } from "#http/cli-package.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { frontPage } from "./internal/front-page.ts";

const Endpoints = z
  .object({
    jobs: z.string().describe("The path of jobs."),
    disks: z.string().describe("The path of disks."),
    gpu_availability: z.string().describe("The path of the GPU availability."),
    cluster_status: z.string().describe("The path of the cluster status."),
  })
  .meta({ id: "ServiceEndpoints" });

/** Keys as the API's document prints them (docs/apis/common.md#public-endpoints). */
const Root = z
  .object({
    service: z.string().describe("The name of the API."),
    version: z.string().describe("The version of the published API."),
    docs: z.string().describe("The path of the interactive documentation."),
    health: z.string().describe("The path of the health check."),
    auth: z
      .object({
        aws_login: z.string().describe("The path of the login."),
        description: z.string().describe("What the login does."),
      })
      .describe("How to log in."),
    endpoints: Endpoints.describe("Paths to go on with."),
  })
  .meta({ id: "ServiceInfo" });

const info = {
  service: "GPU Dev API",
  version: "1.0.0",
  docs: "/docs",
  health: "/health",
  auth: { aws_login: "/v1/auth/aws-login", description: "Use AWS credentials to obtain an API key" },
  endpoints: {
    jobs: "/v1/jobs",
    disks: "/v1/disks",
    gpu_availability: "/v1/gpu/availability",
    cluster_status: "/v1/cluster/status",
  },
};

const route = createRoute({
  method: "get",
  path: "/",
  operationId: "getInfo",
  tags: ["Health"],
  summary: "What this API is and where to go on",
  description: "A browser, which accepts `text/html` and not JSON, gets a page.",
  responses: {
    200: {
      description: "Success",
      content: {
        ...jsonBody(Root, {
          "Always the same": info,
        }).content,
        "text/html": { schema: z.string() },
      },
    },
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: [], public: true, reply: z.union([Root, z.string()]) },
  async ({ accept, host, deployment: { version, cli = findCliPackage } }) => {
    if (isBrowser(accept)) return frontPage({ host, version, servesCli: cli() !== undefined });
    return info;
  },
);

/** Only a client that accepts HTML and not JSON gets the page. */
function isBrowser(accept: string): boolean {
  return /\btext\/html\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
}

export const handler = lambda(endpoint, {});
