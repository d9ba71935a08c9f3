import { afterEach, describe, expect, it } from "vitest";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import type { Claim, PersistentVolume } from "./claim.ts";
import { recreateClaim, retainVolume } from "./retained-volume.ts";

const uid = "11111111-2222-3333-4444-555555555555";
const name = `volume-${"a".repeat(40)}`;
const id = `${name}.${uid}`;
const volumes = "/api/v1/persistentvolumes";

let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

/** Cluster with this volume among a thousand foreign ones. Its claim was deleted by hand unless it is given. */
async function clusterWith(ownVolume: PersistentVolume | undefined, claim?: Claim) {
  const others = Array.from({ length: 1_000 }, (_, at) => volumeNamed(`pvc-other-${at}`, `claim-${at}`));
  const all = ownVolume ? [...others, ownVolume] : others;
  const patches: object[] = [];
  let answer = 0;
  server = await loopbackServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "https://loopback");
    if (request.method === "PATCH") {
      request.on("data", (data) => patches.push(JSON.parse(String(data))));
      return request.on("end", () => answerJson(response, {}));
    }
    if (request.method === "POST") return answerJson(response, {}, 201);
    if (pathname !== volumes) {
      const there = [...all, ...(claim ? [claim] : [])].find(({ metadata }) => pathname.endsWith(`/${metadata.name}`));
      return there ? answerJson(response, there) : refuse(response, 404, "NotFound");
    }
    const [key = "", value] = (searchParams.get("labelSelector") ?? "").split("=");
    const items = all.filter(({ metadata }) => key === "" || metadata.labels?.[key] === value);
    answer += items.length;
    return answerJson(response, { metadata: { resourceVersion: "1" }, items });
  });
  client = apiClient(server.access);
  return {
    place: { client, paths: buildPaths("environments"), deployment: "one" },
    patches,
    warnings: () => answer,
    /** Returns the requests for volumes, without queries. */
    volumeRequests: () =>
      server.requests
        .map(({ method, url }) => `${method} ${url.split("?")[0]}`)
        .filter((name) => name.includes(volumes)),
  };
}

function volumeNamed(
  called: string,
  ofClaim: string,
  { labels = {}, policy = "Retain" }: { labels?: Record<string, string>; policy?: string } = {},
): PersistentVolume {
  return {
    metadata: { name: called, uid: `uid-${called}`, resourceVersion: "7", creationTimestamp: "", labels },
    spec: { claimRef: { uid: ofClaim, name, namespace: "environments" }, persistentVolumeReclaimPolicy: policy },
  };
}

describe("the volume of a claim that is gone", () => {
  it("is read by its provisioner's name, among a thousand foreign ones", async () => {
    const { place, volumeRequests, warnings } = await clusterWith(volumeNamed(`pvc-${uid}`, uid));

    await expect(recreateClaim(place, id, 0)).rejects.toThrow("being removed");

    const requests = [`GET ${volumes}/pvc-${uid}`, `PATCH ${volumes}/pvc-${uid}`];
    expect(volumeRequests()).toEqual([...requests, ...requests]);
    expect(warnings()).toBe(0);
  });

  it("is found by its label if it has another name", async () => {
    const { place, volumeRequests, warnings } = await clusterWith(
      volumeNamed("theirs", uid, { labels: { "berth/claim": uid } }),
    );

    await expect(recreateClaim(place, id, 0)).rejects.toThrow("being removed");

    const requests = [`GET ${volumes}/pvc-${uid}`, `GET ${volumes}`, `PATCH ${volumes}/theirs`];
    expect(volumeRequests()).toEqual([...requests, ...requests]);
    expect(warnings()).toBe(2);
  });

  it("is gone without either, after two calls that show no foreign volume", async () => {
    const { place, volumeRequests, warnings } = await clusterWith(undefined);

    expect(await recreateClaim(place, id, 0)).toBeUndefined();

    expect(volumeRequests()).toEqual([`GET ${volumes}/pvc-${uid}`, `GET ${volumes}`]);
    expect(warnings()).toBe(0);
  });

  it("is no volume that only has its name or its label", async () => {
    const named = volumeNamed(`pvc-${uid}`, "another", { labels: { "berth/claim": uid } });
    const { place, patches } = await clusterWith(named);

    expect(await recreateClaim(place, id, 0)).toBeUndefined();
    expect(patches).toEqual([]);
  });
});

describe("a kept volume", () => {
  const claim = (volumeName: string): Claim => ({
    metadata: { name, uid, resourceVersion: "1", creationTimestamp: "" },
    spec: { volumeName },
  });

  it.each([
    ["is unchanged if its name and its policy are sufficient", `pvc-${uid}`, {}, 0],
    ["is not labelled twice", "theirs", { labels: { "berth/claim": uid } }, 0],
    ["gets its label if it has another name", "theirs", {}, 1],
    ["gets its label and its policy in one change", `pvc-${uid}`, { policy: "Delete" }, 1],
  ])("%s", async (_, called, shape, changes) => {
    const { place, patches } = await clusterWith(volumeNamed(called, uid, shape), claim(called));

    await retainVolume(place, claim(called));

    const change = {
      metadata: { uid: `uid-${called}`, resourceVersion: "7", labels: { "berth/claim": uid } },
      spec: { persistentVolumeReclaimPolicy: "Retain" },
    };
    expect(patches).toEqual(Array.from({ length: changes }, () => change));
  });
});
