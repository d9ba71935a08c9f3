import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runtime } from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import "./globals.ts";
import { run } from "../../.sst/platform/src/auto/run.ts";
import config from "../../sst.config.ts";
import { answerCall, makeOutputs } from "./cloud.ts";

/** A resource that Pulumi would create, or look up if `read` is set. */
interface Recorded {
  readonly type: string;
  readonly name: string;
  readonly read: boolean;
  readonly inputs: unknown;
  /** Dependencies as `<type> <name>`. */
  readonly after: readonly string[];
  /** Pulumi forgets the resource without deleting it. */
  readonly retained: boolean;
}

/** This program runs sst.config.ts with SST's real components and records every resource. */
const recorded: Recorded[] = [];
const after = new Map<string, readonly string[]>();
const retained = new Set<string>();
// Pulumi does not pass dependencies and options to mocks.
const { registerResource } = MockMonitor.prototype;
MockMonitor.prototype.registerResource = function (request, callback) {
  const names = request.getDependenciesList().map((urn: string) => urn.split("::").slice(2));
  const made = names.map(([types = "", name = ""]) => `${types.split("$").pop()} ${name}`);
  const key = `${request.getType()} ${request.getName()}`;
  after.set(key, made.toSorted());
  if (request.getRetainondelete()) retained.add(key);
  return registerResource.call(this, request, callback);
};
runtime.setMocks(
  {
    newResource: ({ type, name, id, inputs }) => {
      const key = `${type} ${name}`;
      const options = { after: after.get(key) ?? [], retained: retained.has(key) };
      recorded.push({ type, name, read: Boolean(id), inputs, ...options });
      return { id: id || `${name}-id`, state: { ...inputs, ...makeOutputs(type, name, inputs) } };
    },
    call: ({ token, inputs }) => answerCall(token, inputs),
  },
  "berth",
  $app.stage,
  false,
);

// A fake of SST's server, which components call during a deployment.
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => {
    body += part;
  });
  request.on("end", () => {
    const { method, params } = JSON.parse(body);
    response.end(JSON.stringify({ result: serverAnswer(method, params) }));
  });
});
// On a busy machine, these timeouts would close connections that SST is about to use.
Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
process.env.SST_SERVER = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function serverAnswer(
  method: string,
  params: readonly { readonly handler?: string; readonly bundle?: string }[],
): unknown {
  if (method === "Provider.Aws.Bootstrap")
    return { asset: "assets", state: "state", assetEcrRegistryId: "1", version: 1 };
  if (method === "Runtime.Build")
    return { handler: params[0]?.handler, out: params[0]?.bundle, errors: [], sourcemaps: [] };
  throw new Error(`The fake of SST's server does not know ${method}`);
}

const outputs = await runtime.runInPulumiStack(() => run(config.run));
// Components create resources in callbacks. Wait for all of them.
await runtime.disconnect();
recorded.push({
  type: "berth:stage:Outputs",
  name: "outputs",
  read: true,
  inputs: outputs,
  after: [],
  retained: false,
});
writeFileSync(
  process.argv[2] ?? "",
  JSON.stringify(recorded, (_, value) => (isSecret(value) ? value.value : value)),
);
// Open connections of SST would keep the process alive.
process.exit();

function isSecret(value: unknown): value is { readonly value: unknown } {
  const mark = "4dabf18193072939515e22adb298388d";
  return typeof value === "object" && value !== null && mark in value;
}
