import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubeObject } from "./client.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { makeNamespace, must } from "./objects.ts";
import { follow, type WatchEvent, watchOnce } from "./watch.ts";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster.stop());

describe("a watch", () => {
  it("continues from a bookmark, without repeating earlier events", async () => {
    const [quiet, loud] = [await makeNamespace(cluster.admin, "quiet"), await makeNamespace(cluster.admin, "loud")];
    const path = getSecrets(quiet);
    const { body } = await cluster.admin.get<KubeObject>(path);
    await makeSecret(quiet, "first");
    const events: WatchEvent<KubeObject>[] = [];
    let last: KubeObject | undefined;

    // A bookmark comes two seconds before the end if there were events that this watch did not match.
    for await (const event of watchOnce<KubeObject>(cluster.admin, path, {
      from: body.metadata.resourceVersion,
      timeoutSeconds: 8,
    })) {
      events.push(event);
      if (event.type === "ADDED") last = await makeSecret(loud, "elsewhere");
    }
    const bookmark = events.findLast(({ type }) => type === "BOOKMARK")?.object.metadata.resourceVersion ?? "none";
    await makeSecret(quiet, "second");
    const later = await collect(watchOnce<KubeObject>(cluster.admin, path, { from: bookmark, timeoutSeconds: 1 }));

    expect(names(events)).toEqual(["first"]);
    expect(Number(bookmark)).toBeGreaterThanOrEqual(Number(last?.metadata.resourceVersion));
    expect(names(later)).toEqual(["second"]);
  });

  it("is refused if its version is too old", async () => {
    const { body } = await cluster.admin.get<KubeObject>("/api/v1/secrets");
    await makeNamespace(cluster.admin, "newer");
    // A restarted API server has no older history for watches.
    await cluster.controlPlane.restart("apiserver");

    const [event] = await collect(
      watchOnce<KubeObject>(cluster.admin, "/api/v1/secrets", {
        from: body.metadata.resourceVersion,
        timeoutSeconds: 1,
      }),
    );

    expect(event).toMatchObject({ type: "ERROR", object: { code: 410, reason: "Expired" } });
  });
});

describe("follow", () => {
  it("reports existing, new and removed objects", async () => {
    const namespace = await makeNamespace(cluster.admin, "followed");
    await makeSecret(namespace, "there");
    const seen: string[] = [];
    const input: Promise<unknown>[] = [];
    const ending = new AbortController();

    const following = follow<KubeObject>(
      cluster.admin,
      getSecrets(namespace),
      (type, { metadata }) => {
        seen.push(`${type} ${metadata.name}`);
        if (type === "DELETED") ending.abort();
        else if (metadata.name === "there") input.push(makeSecret(namespace, "comes"));
        else input.push(cluster.admin.remove(`${getSecrets(namespace)}/there`));
      },
      ending.signal,
    );
    await following;
    // An event may come before the answer to the request that caused it.
    await Promise.all(input);

    expect(seen).toEqual(["ADDED there", "ADDED comes", "DELETED there"]);
  });
});

const getSecrets = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;

async function makeSecret(namespace: string, name: string): Promise<KubeObject> {
  return must(await cluster.admin.post(getSecrets(namespace), { metadata: { name } }));
}

async function collect(events: AsyncIterable<WatchEvent<KubeObject>>): Promise<WatchEvent<KubeObject>[]> {
  const collected: WatchEvent<KubeObject>[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}

function names(events: readonly WatchEvent<KubeObject>[]): string[] {
  return events.filter(({ type }) => type !== "BOOKMARK").map(({ object }) => object.metadata.name);
}
