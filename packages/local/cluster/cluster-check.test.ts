import { afterEach, expect, test } from "vitest";
import { apiClient } from "#kubernetes/client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { checkCluster } from "./cluster-check.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Lacking {
  /** `create pods/exec`, as a review asks for it. */
  readonly rights?: readonly string[];
  /** Ends of paths that are not there. */
  readonly objects?: readonly string[];
  readonly status?: number;
}

/** A prepared cluster, except for what it lacks. */
async function openServer(lacking: Lacking = {}) {
  const sockets = new Set<object>();
  const server = await loopbackServer((request, response) => {
    const { method, url = "", socket } = request;
    sockets.add(socket);
    if (lacking.status !== undefined) return refuse(response, lacking.status, "Refused", "hidden");
    if (method === "GET" && lacking.objects?.some((end) => url.endsWith(end))) return refuse(response, 404, "NotFound");
    if (method === "GET") return answerJson(response, { metadata: { uid: `uid of ${url.split("/").at(-1)}` } });
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const allowed = !lacking.rights?.includes(rightIn(Buffer.concat(parts).toString()));
      answerJson(response, { status: { allowed } }, 201);
    });
  });
  closing.push(() => server.close());
  return { ...server, sockets };
}

function rightIn(review: string): string {
  const { verb, resource, subresource } = JSON.parse(review).spec.resourceAttributes;
  return `${verb} ${subresource ? `${resource}/${subresource}` : resource}`;
}

function check({ access }: Pick<LoopbackServer, "access">, changes: Partial<LoopbackServer["access"]> = {}) {
  const client = apiClient({ ...access, ...changes });
  closing.push(() => client.close());
  return checkCluster({ client, url: access.url, context: "dev", namespace: "environments" });
}

test("a prepared cluster is identified by the uid of its namespace, with few requests at once", async () => {
  const server = await openServer();

  expect(await check(server)).toBe("uid of environments");
  expect(server.sockets.size).toBeLessThanOrEqual(8);
});

test.each([
  ["a single right", ["create pods/exec"], "may not create pods/exec in environments."],
  [
    "some rights",
    ["get nodes", "list nodes", "get persistentvolumes", "list storageclasses"],
    "may not get nodes of the cluster, list nodes of the cluster, get persistentvolumes of the cluster and 1 more.",
  ],
])("a cluster where the user lacks %s is refused with advice", async (_, rights, words) => {
  const checking = check(await openServer({ rights }));

  await expect(checking).rejects.toThrow(`The user of context dev ${words}\n`);
  await expect(checking).rejects.toThrow("npm run cluster:apply");
});

test.each(["/namespaces/environments", "/priorityclasses/berth-environment"])(
  "a cluster without %s is not prepared",
  async (end) => {
    const checking = check(await openServer({ objects: [end] }));

    await expect(checking).rejects.toThrow("is not prepared for Berth: run `npm run cluster:apply`");
  },
);

test.each([
  [401, "does not accept its credentials"],
  [503, "refused POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews: 503"],
])("the error names a cluster that answers %d, and how to check it", async (status, words) => {
  const server = await openServer({ status });

  const failed = await check(server).catch((error: Error) => error.message);

  expect(failed).toContain(`The API server ${server.access.url} of context dev ${words}`);
  expect(failed).toContain("kubectl --context dev get nodes");
  expect(failed).not.toContain("hidden");
});

test("an API server with an untrusted certificate and a missing one count as unreachable", async () => {
  const server = await openServer();

  await expect(check(server, { ca: undefined })).rejects.toThrow(/cannot be reached \(\w*SELF_SIGNED\w*\)/);
  closing.shift();
  await server.close();
  await expect(check(server)).rejects.toThrow("cannot be reached (ECONNREFUSED)");
});

test("the error of a credential plugin is passed on", async () => {
  const token = () => Promise.reject(new Error("The credential plugin aws failed"));

  await expect(check(await openServer(), { token })).rejects.toThrow(/^The credential plugin aws failed$/);
});
