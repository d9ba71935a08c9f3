import { afterEach, expect, test } from "vitest";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer } from "#kubernetes/fixtures/loopback-fixture.ts";
import { describeNetwork } from "./cluster-network.ts";

let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

const policy = (spec: object, labels: object = {}) => ({ metadata: { name: "any", labels }, spec });
const closed = policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress: [{ ports: [{ port: "ssh" }] }] });
const [both, into, out] = [
  ["reaches environments", "environments reach"],
  ["reaches environments"],
  ["environments reach"],
];

test.each<[title: string, policies: readonly object[], open: readonly string[]]>([
  ["nothing, if a policy limits every pod in both directions", [closed], []],
  ["both directions, without a policy", [], both],
  ["egress, if only ingress is limited", [policy({ podSelector: {}, policyTypes: ["Ingress"] })], out],
  [
    "both directions, if policies select only some pods",
    [policy({ podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress", "Egress"] })],
    both,
  ],
  ["ingress, if another policy admits it from everywhere", [closed, policy({ podSelector: {}, ingress: [{}] })], into],
  [
    "nothing, if the only open policy joins the machines of a run",
    [closed, policy({ podSelector: {}, egress: [{}] }, { "berth/uid": "a" })],
    [],
  ],
])("describes a namespace by %s", async (_, policies, open) => {
  server = await loopbackServer((__, response) => answerJson(response, { metadata: {}, items: policies }));
  client = apiClient(server.access);

  const words = await describeNetwork(client, "environments");

  expect(words).toEqual(open.map((name) => expect.stringContaining(`network: no policy limits what ${name}`)));
});
