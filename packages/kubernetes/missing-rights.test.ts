import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { type Answer, answeringCluster, object, uid } from "./fixtures/answering-cluster-fixture.ts";
import { answerJson, refuse } from "./fixtures/loopback-fixture.ts";

const { opened, requests, logged } = answeringCluster();

describe("a control plane with outdated rights", () => {
  /** Rights of an upgraded control plane, before deploy/kubernetes is applied again. */
  const lacking = /\/(persistentvolumeclaims|persistentvolumes|secrets|services|networkpolicies|ingresses)/;
  const nothing = object({ metadata: { resourceVersion: "1" }, items: [] });
  const noRight = 'secrets is forbidden: User "berth" cannot list resource "secrets" in API group ""';
  const openWithFew = async (said = noRight) => {
    const refused: Answer = (response, { url = "" }) =>
      lacking.test(url) ? refuse(response, 403, "Forbidden", said) : nothing(response, {} as IncomingMessage);
    return opened({
      "GET jobs": (response, { url = "" }) =>
        url.includes("/jobs/") ? refuse(response, 404, "NotFound") : answerJson(response, noItems),
      "GET pods": (response) => answerJson(response, noItems),
      "GET undefined": refused,
      "DELETE undefined": refused,
    });
  };
  const noItems = { metadata: { resourceVersion: "1" }, items: [] };

  it("ends a run all the same, and logs the missing rights", async () => {
    const compute = await openWithFew();

    await compute.remove(uid, 1, { graceSeconds: 1, force: false });

    expect(logged().map(({ event, fields }) => [event, fields.refused])).toContainEqual([
      "a right on the cluster is missing: apply deploy/kubernetes anew",
      "GET /api/v1/persistentvolumes: 403 Forbidden",
    ]);
  });

  it("does not report a run as removed while parts of it are left", async () => {
    const compute = await openWithFew();

    const removal = compute.remove(uid, 1, { graceSeconds: 0, force: false, leftovers: true });

    await expect(removal).rejects.toThrow(/^DELETE .*: 403 Forbidden$/);
    const deleted = requests()
      .filter(({ method }) => method === "DELETE")
      .map(({ url }) => url.split("/").at(-2));
    expect(deleted).toEqual(expect.arrayContaining(["secrets", "services", "networkpolicies", "ingresses"]));
  });

  it("logs each refused kind of call once, however many runs are removed", async () => {
    const compute = await openWithFew();

    for (const run of [1, 2, 3]) await compute.remove(uid, run, { graceSeconds: 1, force: false });

    const refused = logged().map(({ fields }) => String(fields.refused));
    expect(refused.filter((call) => call.startsWith("DELETE") && call.includes("/services/"))).toHaveLength(1);
    expect(refused.filter((call) => call.includes("/persistentvolumes"))).toHaveLength(1);
  });

  it("logs a right again that was granted and is missing again", async () => {
    let isGiven = false;
    const answer: Answer = (response, { url = "" }) =>
      isGiven || !lacking.test(url)
        ? nothing(response, {} as IncomingMessage)
        : refuse(response, 403, "Forbidden", noRight);
    const compute = await opened({ "GET undefined": answer, "GET jobs": nothing });
    const count = () => logged().filter(({ fields }) => String(fields.refused).includes("/persistentvolumes:")).length;
    const counts: number[] = [];

    for (const input of [false, false, true, false, false]) {
      isGiven = input;
      await compute.listParts();
      counts.push(count());
    }

    expect(counts).toEqual([1, 1, 1, 2, 2]);
  });

  it("logs a policy that refuses one object once, and again after it let that one go", async () => {
    const said = 'admission webhook "keep.example" denied the request: keep it';
    let keeps: string | undefined = "-r1";
    const policy: Answer = (response, { method, url = "" }) =>
      method === "DELETE" && /\/secrets\//.test(url) && keeps !== undefined && url.includes(keeps)
        ? refuse(response, 403, "Forbidden", said)
        : nothing(response, {} as IncomingMessage);
    const compute = await opened({
      "GET jobs": (response, { url = "" }) =>
        url.includes("/jobs/") ? refuse(response, 404, "NotFound") : answerJson(response, noItems),
      "GET pods": (response) => answerJson(response, noItems),
      "GET undefined": policy,
      "DELETE undefined": policy,
    });
    const counts: number[] = [];

    for (const [kept, run] of [
      ["-r1", 1],
      ["-r1", 2],
      ["-r1", 1],
      [undefined, 1],
      ["-r1", 1],
    ] as const) {
      keeps = kept;
      await compute.remove(uid, run, { graceSeconds: 1, force: false });
      counts.push(logged().length);
    }

    expect(counts).toEqual([1, 1, 1, 1, 2]);
  });

  it("logs an admission policy's refusal with the server's text, and no missing right", async () => {
    const said = `admission webhook "keep.example" denied the request: ${"keep it ".repeat(100)}`;
    const compute = await openWithFew(said);

    await compute.remove(uid, 1, { graceSeconds: 1, force: false });

    expect(logged()).not.toEqual([]);
    for (const { event, fields } of logged()) {
      expect([event, fields.said]).toEqual(["the cluster refuses a call", said.slice(0, 300)]);
    }
  });

  it("lists the leftovers of runs, as far as its rights go", async () => {
    const compute = await openWithFew();

    const parts = await compute.listParts();

    expect(parts).toEqual([]);
    const refused = logged().map(({ fields }) => String(fields.refused).replace(/.*\//, ""));
    expect(refused).toContain("secrets: 403 Forbidden");
    expect(refused).toContain("persistentvolumeclaims: 403 Forbidden");
  });
});
