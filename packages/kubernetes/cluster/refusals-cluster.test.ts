import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import type { Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { apiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import { type AdmissionRequest, type Denial, openAdmissionWebhook } from "../fixtures/webhook-fixture.ts";

const TEN_MINUTES_MS = 600_000;
const admission = "/apis/admissionregistration.k8s.io/v1";
let fixture: ClusterFixture;
let webhook: Awaited<ReturnType<typeof openAdmissionWebhook>>;
/** The webhook's answer for a run of this name. */
const denials = new Map<string, (kind: string) => Denial | undefined>();

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  webhook = await openAdmissionWebhook(fixture.cluster.controlPlane, ({ kind, object }: AdmissionRequest) =>
    denials.get(object.metadata.annotations?.["berth/name"] ?? "")?.(kind.kind),
  );
  must(
    await fixture.cluster.admin.post(
      `${admission}/validatingwebhookconfigurations`,
      webhook.configuration("runs", namespace),
    ),
  );
  // A configuration takes effect some time after its creation.
  denials.set("probe", () => ({ message: "it holds" }));
  const probe = { metadata: { name: "probe", annotations: { "berth/name": "probe" } }, spec: podSpec };
  await fixture.eventually(
    () => fixture.cluster.admin.post(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, probe),
    ({ status }) => status >= 400,
  );
});

afterEach(() => fixture.clear());
afterAll(async () => {
  await fixture.stop();
  await webhook.close();
});

const anyPod = { metadata: { name: "any" }, spec: { containers: [{ name: "main", image: "berth.test/any:1" }] } };
const podSpec = { containers: [{ name: "main", image: "berth.test/any:1" }] };
const getRefusal = (run: Run) =>
  fixture.compute.apply(run).then(
    () => "taken",
    (error: unknown) => error as Error,
  );
const until = ({ uid, run }: Run, state: string) =>
  fixture.eventually(
    () => fixture.compute.observe(uid, run),
    (seen) => seen?.state === state,
  );

describe("a run that the cluster's admission refuses", () => {
  it("by a webhook is refused permanently, with the webhook's message", async () => {
    denials.set("unwanted", (kind) => (kind === "Job" ? { code: 403, message: "no jobs on Sundays" } : undefined));

    const refusal = await getRefusal(fixtureRun({ name: "unwanted", env: { TOKEN: "s3cret-value" } }));

    expect(refusal).toMatchObject({
      name: "RunRefused",
      message: "Refused by the cluster's policy runs.berth.test: no jobs on Sundays",
    });
  });

  it("by a policy is refused permanently, without its variables and its command", async () => {
    const expression = "object.metadata.annotations['berth/name'] != 'secretive'";
    const policy = {
      metadata: { name: "images" },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: ["batch"], apiVersions: ["v1"], resources: ["jobs"], operations: ["CREATE"] }],
        },
        validations: [
          { expression, messageExpression: "'not ' + object.spec.template.spec.containers[0].args[0] + ' here'" },
        ],
      },
    };
    must(await fixture.cluster.admin.post(`${admission}/validatingadmissionpolicies`, policy));
    const binding = { metadata: { name: "images" }, spec: { policyName: "images", validationActions: ["Deny"] } };
    must(await fixture.cluster.admin.post(`${admission}/validatingadmissionpolicybindings`, binding));
    const run = fixtureRun({ name: "secretive", command: "train --key s3cret-value" });

    const refusal = await fixture.eventually(
      async () => {
        const found = await getRefusal(run);
        await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
        return found;
      },
      (found) => found !== "taken",
    );

    expect(refusal).toMatchObject({
      name: "RunRefused",
      message: "Refused by the cluster's policy images: not … here",
    });
  });

  it("is not refused if it was accepted before", async () => {
    const run = fixtureRun({ name: "taken" });
    await fixture.compute.apply(run);
    denials.set("taken", (kind) => (kind === "Job" ? { message: "not any more" } : undefined));

    expect(await getRefusal(run)).toBe("taken");
    expect(await until(run, "ready")).toMatchObject({ state: "ready" });
  });

  it("ends before it began if its pod is refused, with a message from events", async () => {
    denials.set("podless", (kind) => (kind === "Pod" ? { message: "no such team" } : undefined));
    const run = fixtureRun({ name: "podless" });

    await fixture.compute.apply(run);

    expect(await until(run, "ended")).toMatchObject({
      started: false,
      exitCode: null,
      reason: "Refused by the cluster's policy runs.berth.test: no such team",
    });
  });

  it("with an invalid object is refused permanently, with the API server's message", async () => {
    const refusal = await getRefusal(fixtureRun({ env: { "no name": "s3cret-value" } }));

    expect(refusal).toMatchObject({
      name: "RunRefused",
      message: expect.stringMatching(/^The cluster refuses the run: data\[no name\]: Invalid value/),
    });
  });

  it("with an invalid pod ends before it began, with the API server's message", async () => {
    const run = fixtureRun({ image: " berth.test/any:1" });

    await fixture.compute.apply(run);

    expect(await until(run, "ended")).toMatchObject({
      started: false,
      reason: expect.stringMatching(/^The cluster refuses the run: .*image: .*whitespace/),
    });
  });
});

describe("a run that is refused temporarily", () => {
  it("by a webhook with 429 is accepted a moment later by the same call", async () => {
    let input = 0;
    denials.set("hurried", (kind) => {
      if (kind !== "Job") return undefined;
      input += 1;
      return input === 1 ? { code: 429, message: "not so fast" } : undefined;
    });
    const run = fixtureRun({ name: "hurried" });

    expect(await getRefusal(run)).toBe("taken");
    expect(input).toBe(2);
    expect(await until(run, "ready")).toMatchObject({ state: "ready" });
  });

  it("by a quota of Jobs reports that, and is accepted once there is room", async () => {
    const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
    const run = fixtureRun();
    must(
      await fixture.cluster.admin.post(quotas, {
        metadata: { name: "jobs" },
        spec: { hard: { "count/jobs.batch": "0" } },
      }),
    );
    await fixture.eventually(
      () => fixture.cluster.admin.get<{ status?: { hard?: object } }>(`${quotas}/jobs`),
      ({ body }) => body.status?.hard !== undefined,
    );

    const refusal = await getRefusal(run);
    must(await fixture.cluster.admin.remove(`${quotas}/jobs`));
    await fixture.eventually(
      () => getRefusal(run),
      (found) => found === "taken",
    );

    expect(refusal).toMatchObject({ name: "RunNotTaken", message: "the quota jobs of the cluster is used up" });
    expect(await until(run, "ready")).toMatchObject({ state: "ready" });
  });

  it("by a conflict over a quota (409) is accepted by the same call", async () => {
    let input = 0;
    denials.set("crowded", (kind) => {
      if (kind !== "Job") return undefined;
      input += 1;
      const message = "Operation cannot be fulfilled on resourcequotas";
      return input < 3 ? { code: 409, reason: "Conflict", message } : undefined;
    });
    const run = fixtureRun({ name: "crowded" });

    expect(await getRefusal(run)).toBe("taken");
    expect(input).toBe(3);
    expect(await until(run, "ready")).toMatchObject({ state: "ready" });
  });

  it("by a silent webhook reports that", async () => {
    const otherAdmissionWebhook = await openAdmissionWebhook(fixture.cluster.controlPlane, () => undefined);
    const path = `${admission}/validatingwebhookconfigurations`;
    must(await fixture.cluster.admin.post(path, otherAdmissionWebhook.configuration("away", namespace)));
    await otherAdmissionWebhook.close();
    const run = fixtureRun();

    const refusal = await fixture.eventually(
      async () => {
        const found = await getRefusal(run);
        await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
        return found;
      },
      (found) => found !== "taken",
    );
    must(await fixture.cluster.admin.remove(`${path}/away`));

    expect(refusal).toMatchObject({
      name: "RunNotTaken",
      message: "the cluster's webhook away.berth.test does not answer",
    });
    // The next test waits until the webhook is gone everywhere.
    await fixture.eventually(
      () => getRefusal(run),
      (found) => found === "taken",
    );
  });
});

describe("a pod that is refused temporarily", () => {
  const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
  const fillQuota = async () => {
    must(
      await fixture.cluster.admin.post(quotas, {
        metadata: { name: "gpus" },
        spec: { hard: { "requests.nvidia.com/gpu": "0" } },
      }),
    );
    await fixture.eventually(
      () => fixture.cluster.admin.get<{ status?: { hard?: object } }>(`${quotas}/gpus`),
      ({ body }) => body.status?.hard !== undefined,
    );
  };
  const emptyQuota = async () => must(await fixture.cluster.admin.remove(`${quotas}/gpus`));

  it("by a full quota is unbound through no fault of a machine, and names the quota", async () => {
    await fillQuota();
    const run = fixtureRun();
    await fixture.compute.apply(run);

    const seen = await fixture.eventually(
      () => fixture.compute.observe(run.uid, 1),
      (found) => found?.reason != null,
    );
    await emptyQuota();

    expect(seen).toMatchObject({
      state: "unbound",
      refusedForNow: true,
      reason: "The quota gpus of the cluster is used up",
      nodes: [],
    });
  });

  it("by a silent webhook is unbound through no fault of a machine, without the webhook's address", async () => {
    const otherAdmissionWebhook = await openAdmissionWebhook(fixture.cluster.controlPlane, () => undefined);
    const path = `${admission}/validatingwebhookconfigurations`;
    const { webhooks, ...configuration } = otherAdmissionWebhook.configuration("podless", namespace);
    const ofPods = webhooks.map((webhook) => ({
      ...webhook,
      rules: webhook.rules.filter(({ resources }) => resources[0] === "pods"),
    }));
    must(await fixture.cluster.admin.post(path, { ...configuration, webhooks: ofPods }));
    await otherAdmissionWebhook.close();
    await fixture.eventually(
      () => fixture.cluster.admin.post(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, anyPod),
      ({ status }) => status >= 500,
    );
    const run = fixtureRun();
    await fixture.compute.apply(run);

    const seen = await fixture.eventually(
      () => fixture.compute.observe(run.uid, 1),
      (found) => found?.reason != null,
    );
    must(await fixture.cluster.admin.remove(`${path}/podless`));

    expect(seen).toMatchObject({
      state: "unbound",
      refusedForNow: true,
      reason: "The cluster's webhook podless.berth.test does not answer",
    });
    await fixture.eventually(
      () => fixture.cluster.admin.post(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, anyPod),
      ({ status }) => status < 400,
    );
  });

  it("for ten minutes keeps its job queued, counts no try, and starts the job once there is room", async () => {
    await fillQuota();
    // The driver keeps what it read of events for seconds, by the clock that is advanced.
    const now = () => core.ctx.clock.now();
    const core: CoreFixture = await startCore(kubernetesCompute({ ...fixture.options, now }));
    const begunAt = core.ctx.clock.now();
    const isRefused = ({ reason }: Environment) => reason === "The quota gpus of the cluster is used up";
    const pass = (holds: (environment: Environment) => boolean) =>
      core.until("one", (environment) => {
        if (holds(environment)) return true;
        core.skipToNext(environment);
        return false;
      });
    await core.create("one", { gpus: 8 });

    let [waiting, isFull]: [Environment | undefined, boolean] = [undefined, true];
    for (let tries = 1; isFull; tries++) {
      await core.until("one", (environment) => environment.phase === "preparing" && isRefused(environment));
      waiting = await pass(({ phase, placement }) => phase === "queued" && placement.refusals?.count === tries);
      isFull = core.ctx.clock.now() - begunAt < TEN_MINUTES_MS;
      if (!isFull) await emptyQuota();
      await pass(({ phase }) => phase === "preparing");
    }
    const active = await core.until("one", ({ phase }) => phase === "active");
    await core.stop();

    expect(waiting).toMatchObject({
      phase: "queued",
      reason: "The quota gpus of the cluster is used up",
      placement: { withdrawals: 0, withdrawn: { nodes: [] } },
    });
    // The third counted try would have ended the job.
    expect(waiting?.placement.refusals?.count).toBeGreaterThan(3);
    expect(active.placement).toMatchObject({ withdrawals: 0 });
  }, 240_000);
});

describe("a caller", () => {
  it("with an expired token gets a new one, and nothing is lost or repeated", async () => {
    const { url, ca, token } = fixture.cluster.controlPlane.getAccess("berth");
    const refused: (string | undefined)[] = [];
    const client = apiClient({
      url,
      ca,
      token: async (stale) => {
        if (stale !== undefined) refused.push(stale);
        return stale === undefined ? "expired" : token;
      },
    });
    const compute = kubernetesCompute({ ...fixture.options, client });
    const run = fixtureRun({ env: { A: "b" } });

    await compute.apply(run);
    const seen = await fixture.eventually(
      () => compute.observe(run.uid, 1),
      (found) => found?.state === "ready",
    );
    client.close();

    expect(seen).toMatchObject({ nodes: [{ name: "one" }] });
    expect(refused.length).toBeGreaterThan(2);
    expect((await fixture.compute.listRuns()).length).toBe(1);
  });

  it("that applies a run five times at once creates it once", async () => {
    const run = fixtureRun({ env: { A: "b" } });

    const answers = await Promise.all(Array.from({ length: 5 }, () => getRefusal(run)));
    await until(run, "ready");
    await sleep(100);

    expect(answers).toEqual(["taken", "taken", "taken", "taken", "taken"]);
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    expect(must(await fixture.cluster.admin.get<{ items: unknown[] }>(path)).items.length).toBe(1);
  });
});
