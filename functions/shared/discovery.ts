import { createRoute } from "@hono/zod-openapi";
import { type CliPackage, findCliPackage } from "#http/cli-package.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { minClientVersion } from "#http/version.ts";
import { lambda } from "#lambda/lambda.ts";
import { discoveryExamples } from "./internal/examples.ts";
import { Discovery } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/.well-known/berth",
  operationId: "getDiscovery",
  tags: ["Health"],
  summary: "What a client needs to know before it logs in",
  description: "Clients read it once for each deployment.",
  responses: { 200: jsonReply(Discovery, discoveryExamples[200]) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: [], public: true },
  async ({ ctx: { settings }, deployment: { version, region, ssh, cli = findCliPackage } }) => ({
    service: "berth" as const,
    version,
    min_client_version: minClientVersion,
    login: {
      path: "/v1/auth/aws-login",
      server_id: settings.loginServerId,
      sts_origins: [...settings.stsOrigins],
      region: region ?? null,
    },
    paths: { docs: "/docs", openapi: "/openapi.json", console: null },
    ssh: ssh ?? null,
    cli: describeCli(cli()),
  }),
);

function describeCli(found: CliPackage | undefined) {
  if (!found) return null;
  const { version, sha256 } = found;
  return { version, path: "/cli/berth.tgz", sha256, min_version: minClientVersion };
}

export const handler = lambda(endpoint, {});
