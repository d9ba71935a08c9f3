import { createRoute } from "@hono/zod-openapi";
import type { Settings } from "#core/settings.ts";
import { type CliPackage, findCliPackage } from "#http/cli-package.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import type { Deployment } from "#http/runtime.ts";
import { minClientVersion } from "#http/version.ts";
import { lambda } from "#lambda/lambda.ts";
import { Discovery } from "./schemas.ts";

const discovery = {
  service: "berth",
  version: "1.0.0",
  min_client_version: "1.0.0",
  login: {
    path: "/v1/auth/aws-login",
    server_id: "berth-local",
    sts_origins: ["https://sts.us-east-1.amazonaws.com"],
    region: "us-east-1",
  },
  paths: { docs: "/docs", openapi: "/openapi.json", console: "http://berth.localhost:8080/" },
  ssh: { host: "127.0.0.1", port: 2222, host_keys: [] },
  cli: {
    version: "1.0.0",
    path: "/cli/berth.tgz",
    sha256: "5d2f0c2e0b1a4f6f8c7e9d3b1a2c4e6f80912a3b4c5d6e7f8091a2b3c4d5e6f7",
    min_version: "1.0.0",
  },
};

const route = createRoute({
  method: "get",
  path: "/.well-known/berth",
  operationId: "getDiscovery",
  tags: ["Health"],
  summary: "What a client needs to know before it logs in",
  description: "Clients read it once for each deployment.",
  responses: { 200: jsonReply(Discovery, { "A local stack": discovery }) },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: [], public: true },
  async ({ ctx: { settings }, deployment: { version, region, consoleUrl, ssh, cli = findCliPackage } }) => ({
    service: "berth" as const,
    version,
    min_client_version: minClientVersion,
    login: {
      path: "/v1/auth/aws-login",
      server_id: settings.loginServerId,
      sts_origins: [...settings.stsOrigins],
      region: region ?? null,
    },
    paths: { docs: "/docs", openapi: "/openapi.json", console: consoleUrl ?? "/" },
    ssh: describeSsh(settings, ssh),
    cli: describeCli(cli()),
  }),
);

function describeSsh(
  { sshGateway, sshHostKeys }: Pick<Settings, "sshGateway" | "sshHostKeys">,
  ssh: Deployment["ssh"],
) {
  if (sshGateway) return { ...sshGateway, host_keys: [...sshHostKeys] };
  return ssh ? { ...ssh, host_keys: [] } : null;
}

function describeCli(found: CliPackage | undefined) {
  if (!found) return null;
  const { version, sha256 } = found;
  return { version, path: "/cli/berth.tgz", sha256, min_version: minClientVersion };
}

export const handler = lambda(endpoint, {});
