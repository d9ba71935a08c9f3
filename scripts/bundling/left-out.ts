import { fileURLToPath } from "node:url";
import { routeStub } from "./without-document.ts";

/** Modules with AWS clients that functions import, and the ports that each one creates. */
const awsPorts = {
  "#aws/dynamodb/table.ts": ["table"],
  "#aws/sqs/queue.ts": ["queue"],
  "#aws/socket-gateway.ts": ["socketGateway"],
  "#aws/ec2/ebs-volumes.ts": ["volumes"],
  "#aws/eks/eks-machine-groups.ts": ["machineGroups"],
  "#lambda/request-compute.ts": ["compute"],
  "#lambda/schedule-compute.ts": ["compute"],
  "#lambda/worker-ports.ts": ["compute", "volumes"],
};

/**
 * Returns replacements, by path, for modules that the local stack omits. It has its own ports: the clients of DynamoDB,
 * SQS, EC2 and EKS would take a seventh of the start and 20 MB. zod's texts in fifty languages (5 MB) are never shown.
 */
export function leftOut(): ReadonlyMap<string, string> {
  const clients = Object.entries(awsPorts).map(([module, ports]): [string, string] => [
    fileURLToPath(import.meta.resolve(module)),
    ports.map(stubPort).join("\n"),
  ]);
  const locales = fileURLToPath(new URL("v4/locales/index.js", import.meta.resolve("zod")));
  const routes = fileURLToPath(import.meta.resolve("@hono/zod-openapi"));
  return new Map([...clients, [locales, "export {};"], [routes, routeStub]]);
}

function stubPort(port: string): string {
  return `export const ${port} = () => { throw new Error("The local stack has its own ${port}"); };`;
}
