import * as z from "zod";
import { findCliPackage } from "#http/cli-package.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { frontPage } from "./parts/front-page.ts";
import { Root } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/",
  { summary: "What this API is and where to go on", uses: [], public: true, reply: z.union([Root, z.string()]) },
  async ({ accept, host, deployment: { version, cli = findCliPackage } }) => {
    if (isBrowser(accept)) return frontPage({ host, version, servesCli: cli() !== undefined });
    return info;
  },
);

/** Only a client that names HTML and not JSON gets the page. */
function isBrowser(accept: string): boolean {
  return /\btext\/html\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
}

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

export const handler = lambda(endpoint, {});
