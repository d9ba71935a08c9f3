import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { applyPlan, planApply } from "#kubernetes/setup/apply.ts";
import { readInventory } from "#kubernetes/setup/inventory.ts";
import { type Manifest, readManifests } from "#kubernetes/setup/manifests.ts";
import { describeApplyError, formatPlan } from "#kubernetes/setup/plan-lines.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import type { ClusterUser } from "./control-plane.ts";
import { must } from "./objects.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const policies = "/apis/networking.k8s.io/v1/namespaces/berth-environments/networkpolicies";
const configMaps = "/api/v1/namespaces/berth-system/configmaps";
let cluster: Cluster;
let client: ApiClient;
let manifests: Manifest[];

const clientOf = (user: ClusterUser) => {
  const { url, ca, token } = cluster.controlPlane.getAccess(user);
  return apiClient({ url, ca, token: async () => token, deadlineMs: 60_000 });
};
const apply = async (wanted: readonly Manifest[] = manifests) => {
  const plan = await planApply(client, wanted);
  await applyPlan(client, plan);
  return formatPlan(plan.changes);
};
/** Adds an object of somebody else to the list of what was applied. */
const listAlso = async (name: string) => {
  const { metadata } = must(await cluster.admin.get<{ metadata: { uid: string } }>(`${configMaps}/${name}`));
  const listed = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "berth-system", uid: metadata.uid },
  };
  const objects = JSON.stringify([...(await readInventory(client)).objects, listed]);
  must(await cluster.admin.patch(`${configMaps}/berth-applied`, { data: { objects } }));
};
const settings = (name: string, data: object = {}): Manifest => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "berth-system" },
  data,
});

beforeAll(async () => {
  cluster = await startCluster();
  client = clientOf("admin");
  manifests = await readManifests(join(root, "deploy/kubernetes"));
});

afterAll(async () => {
  client.close();
  await cluster.stop();
});

it("on a new cluster everything is made, and a second time nothing is changed", async () => {
  const first = await apply();
  const { items: before } = must(await cluster.admin.get<{ items: object[] }>(policies));
  const second = await apply();
  const { items: after } = must(await cluster.admin.get<{ items: object[] }>(policies));

  expect(first).toHaveLength(manifests.length);
  expect(first.every((line) => line.startsWith("+ "))).toBe(true);
  expect(second).toEqual([`= ${manifests.length} objects are as wanted`]);
  expect(before).not.toEqual([]);
  expect(after).toEqual(before);
  expect((await readInventory(client)).objects).toHaveLength(manifests.length);
});

describe("a cluster that has everything", () => {
  beforeEach(() => apply());

  it("gets back a field that somebody changed, and keeps a label that somebody added", async () => {
    const [policy] = must(await cluster.admin.get<{ items: { metadata: { name: string } }[] }>(policies)).items;
    const path = `${policies}/${policy?.metadata.name}`;
    const change = { metadata: { labels: { team: "ml" } }, spec: { policyTypes: ["Ingress"] } };
    must(await cluster.admin.patch(path, change));

    const lines = await apply();

    expect(lines).toEqual([
      `~ NetworkPolicy berth-environments/${policy?.metadata.name}`,
      expect.stringMatching(/^ {4}spec\.policyTypes.*"Egress"/),
      `= ${manifests.length - 1} objects are as wanted`,
    ]);
    const { metadata, spec } = must(
      await cluster.admin.get<{ metadata: { labels: object }; spec: { policyTypes: string[] } }>(path),
    );
    expect(metadata.labels).toMatchObject({ team: "ml" });
    expect(spec.policyTypes).toContain("Egress");
  });

  it("gets back an object that somebody deleted", async () => {
    const quota = "/api/v1/namespaces/berth-environments/resourcequotas";
    const [{ metadata }] = must(await cluster.admin.get<{ items: [{ metadata: { name: string } }] }>(quota)).items;
    must(await cluster.admin.remove(`${quota}/${metadata.name}`));

    const lines = await apply();

    expect(lines).toContain(`+ ResourceQuota berth-environments/${metadata.name}`);
    expect((await cluster.admin.get(`${quota}/${metadata.name}`)).status).toBe(200);
  });

  it("loses what a former version made, but no namespace, and nothing that somebody else made", async () => {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "berth-former" } };
    const former = [settings("former"), settings("replaced"), settings("gone")];
    await apply([...manifests, namespace, ...former]);
    must(await cluster.admin.remove(`${configMaps}/replaced`));
    must(await cluster.admin.post(configMaps, { ...settings("replaced"), data: { of: "somebody else" } }));
    must(await cluster.admin.post(configMaps, settings("foreign")));
    must(await cluster.admin.remove(`${configMaps}/gone`));
    await listAlso("foreign");

    const lines = await apply();

    expect(lines.toSorted()).toEqual([
      "! ConfigMap berth-system/foreign of a former version stays: Berth did not apply it",
      "! ConfigMap berth-system/replaced of a former version stays: somebody deleted it and made another of this name",
      "! Namespace berth-former of a former version stays: everything in it would be deleted; delete it yourself",
      "- ConfigMap berth-system/former: of a former version",
      `= ${manifests.length} objects are as wanted`,
    ]);
    const statusOf = async (path: string) => (await cluster.admin.get(path)).status;
    expect(await statusOf(`${configMaps}/former`)).toBe(404);
    expect(await statusOf(`${configMaps}/replaced`)).toBe(200);
    expect(await statusOf(`${configMaps}/foreign`)).toBe(200);
    expect(await statusOf("/api/v1/namespaces/berth-former")).toBe(200);
    expect(await apply()).toEqual([`= ${manifests.length} objects are as wanted`]);
  });

  it("knows what an attempt made that stopped half-way, so a later version prunes it", async () => {
    const refused = { ...settings("refused"), data: { number: 1 } };
    const plan = await planApply(client, [...manifests, settings("made")]);
    const broken = { action: "create", manifest: refused, path: `${configMaps}/refused` } as const;

    const attempt = applyPlan(client, { ...plan, changes: [...plan.changes, broken] });

    await expect(attempt).rejects.toThrow("/configmaps/refused");
    expect(await apply()).toContain("- ConfigMap berth-system/made: of a former version");
  });

  it("gets the objects of two attempts at the same time, and both are on the list", async () => {
    const plans = await Promise.all(["left", "right"].map((name) => planApply(client, [...manifests, settings(name)])));

    await Promise.all(plans.map((plan) => applyPlan(client, plan)));

    const listed = (await readInventory(client)).objects.map(({ metadata: { name } }) => name);
    expect(listed).toEqual(expect.arrayContaining(["left", "right"]));
    expect((await apply()).filter((line) => line.startsWith("- "))).toHaveLength(2);
  });

  it("is not touched by a plan that was made before another attempt changed it", async () => {
    const plan = await planApply(client, [...manifests, settings("late")]);
    await apply([...manifests, settings("early")]);

    await expect(applyPlan(client, plan)).rejects.toThrow(
      "Another cluster:apply ran after this plan was made. Nothing was applied: run it again",
    );
    expect((await cluster.admin.get(`${configMaps}/late`)).status).toBe(404);
    await apply();
  });

  it("loses nothing by a list that somebody extended by a volume and by objects that do not exist", async () => {
    const volumes = "/api/v1/persistentvolumes";
    const spec = { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/none" } };
    const manifest = { apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "vol-1" }, spec };
    const { metadata } = await client.apply<Manifest>(`${volumes}/vol-1`, manifest);
    const odd = [
      { apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "vol-1", uid: metadata.uid } },
      { apiVersion: "berth.test/v9", kind: "Future", metadata: { name: "one", uid: "1" } },
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "nowhere", uid: "1" } },
    ];
    const objects = JSON.stringify([...(await readInventory(client)).objects, ...odd]);
    must(await cluster.admin.patch(`${configMaps}/berth-applied`, { data: { objects } }));

    const lines = await apply();

    expect(lines).toEqual([
      "! PersistentVolume vol-1 of a former version stays: a job may use it; delete it yourself",
      "! ConfigMap nowhere of a former version stays: ConfigMap nowhere needs a namespace",
      `= ${manifests.length} objects are as wanted`,
    ]);
    expect((await cluster.admin.get(`${volumes}/vol-1`)).status).toBe(200);
  });

  it("is not touched while the list of what was applied is unreadable", async () => {
    must(await cluster.admin.patch(`${configMaps}/berth-applied`, { data: { objects: "[{}]" } }));
    onTestFinished(async () => void must(await cluster.admin.remove(`${configMaps}/berth-applied`)));

    await expect(apply()).rejects.toThrow("ConfigMap berth-system/berth-applied is unreadable. Delete it");
  });

  it("is not touched by credentials without rights, and the error says which right is missing", async () => {
    const nobody = clientOf("nobody");
    onTestFinished(() => nobody.close());

    const error = await planApply(nobody, manifests).catch((error: unknown) => error);

    expect(describeApplyError(error)).toMatch(/^These credentials may not do that: .*forbidden.*"nobody" cannot get/);
    expect(describeApplyError(error)).toContain("AmazonEKSClusterAdminPolicy");
  });

  it("is not touched if it does not know a kind, as an old version of Kubernetes does not", async () => {
    const future = { apiVersion: "berth.test/v9", kind: "Future", metadata: { name: "one" } };

    await expect(planApply(client, [...manifests, future])).rejects.toThrow(
      "The API server does not know Future of berth.test/v9. Berth needs Kubernetes 1.30 or newer",
    );
  });
});

describe("npm run cluster:apply", () => {
  const runWith = async (changes: Readonly<Record<string, string>>, ...words: string[]) => {
    const env = { ...process.env, KUBECONFIG: join(cluster.controlPlane.home, "admin.kubeconfig"), ...changes };
    const running = promisify(execFile)(process.execPath, ["scripts/cluster/apply.ts", ...words], { cwd: root, env });
    const answer = (code: number, { stdout, stderr }: { stdout: string; stderr: string }) => ({ code, stdout, stderr });
    return running.then(
      (done) => answer(0, done),
      (error: { code: number; stdout: string; stderr: string }) => answer(error.code, error),
    );
  };
  const run = (...words: string[]) => runWith({}, ...words);
  const breakQuota = async () => {
    const quotas = "/api/v1/namespaces/berth-environments/resourcequotas";
    const [{ metadata }] = must(await cluster.admin.get<{ items: [{ metadata: { name: string } }] }>(quotas)).items;
    must(await cluster.admin.remove(`${quotas}/${metadata.name}`));
    return `+ ResourceQuota berth-environments/${metadata.name}\n= ${manifests.length - 1} objects are as wanted\n`;
  };

  beforeEach(() => apply());

  it("shows a difference, applies it only when told to, and then has nothing to do", async () => {
    const difference = await breakQuota();

    const shown = await run("--diff");
    const unasked = await run();
    const applied = await run("--yes");
    const again = await run();

    expect(shown).toMatchObject({ code: 1, stdout: difference });
    expect(unasked).toMatchObject({ code: 2, stdout: difference });
    expect(unasked.stderr).toContain("Nothing was applied: add --yes");
    expect(applied).toMatchObject({ code: 0, stdout: difference });
    expect(applied.stderr).toMatch(/^deploy\/kubernetes on context bench, https:\/\/127\.0\.0\.1:\d+:\nApplied\.\n$/);
    expect(again).toMatchObject({ code: 0, stdout: `= ${manifests.length} objects are as wanted\n` });
  });

  it("adds the policy of POD_CAPABILITIES before it lifts the level of pods, and takes both back without them", async () => {
    const readLevel = async () => {
      const path = "/api/v1/namespaces/berth-environments";
      const { metadata } = must(await cluster.admin.get<{ metadata: { labels: Record<string, string> } }>(path));
      return metadata.labels["pod-security.kubernetes.io/enforce"];
    };

    const added = await runWith({ POD_CAPABILITIES: "SYS_PTRACE" }, "--yes");
    const lifted = await readLevel();
    const again = await runWith({ POD_CAPABILITIES: "SYS_PTRACE" }, "--diff");
    const removed = await run("--yes");

    const level = 'metadata.labels["pod-security.kubernetes.io/enforce"]';
    expect(added.stdout.split("\n").slice(0, 4)).toEqual([
      "+ ValidatingAdmissionPolicy berth-pods",
      "+ ValidatingAdmissionPolicyBinding berth-pods",
      "~ Namespace berth-environments",
      `    ${level}: "baseline" → "privileged"`,
    ]);
    expect([lifted, await readLevel()]).toEqual(["privileged", "baseline"]);
    expect(again).toMatchObject({ code: 0, stdout: `= ${manifests.length + 3} objects are as wanted\n` });
    expect(removed.stdout.split("\n").slice(0, 5)).toEqual([
      "~ Namespace berth-environments",
      `    ${level}: "privileged" → "baseline"`,
      "- ValidatingAdmissionPolicy berth-pods: of a former version",
      "- ValidatingAdmissionPolicyBinding berth-pods: of a former version",
      "- ConfigMap berth-system/no-stage-pod-capabilities: of a former version",
    ]);
  });

  it("adds the images to pull ahead, and deletes their DaemonSet without them", async () => {
    const [prepull, name] = [
      { PREPULL_IMAGES: "torch:2", TOOLS_IMAGE: "tools:1" },
      "DaemonSet berth-environments/berth-prepull",
    ];

    const added = await runWith(prepull, "--yes");
    const again = await runWith(prepull, "--diff");
    const removed = await run("--yes");

    expect(added).toMatchObject({ code: 0, stdout: `+ ${name}\n= ${manifests.length} objects are as wanted\n` });
    expect(again).toMatchObject({ code: 0, stdout: `= ${manifests.length + 1} objects are as wanted\n` });
    expect(removed.stdout).toContain(`- ${name}: of a former version\n`);
  });

  it("shows a value that somebody wrote without its control characters", async () => {
    const path = "/apis/scheduling.k8s.io/v1/priorityclasses/berth-environment";
    must(await cluster.admin.patch(path, { description: "\u001b[2Jpay\u009b1A\u202eme" }));

    const { stdout, stderr } = await run("--diff");

    expect(stdout).toMatch(/ {4}description: "\\u001b\[2Jpay 1A me" → /);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what the test is about
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  });

  it.each([
    [["--stage", "no-such-stage"], 1, "There is no stage no-such-stage: no .env.no-such-stage\n"],
    [["--force"], 2, "Unknown option '--force'"],
    [["--help"], 0, ""],
  ])("with %j ends with exit code %i", async (words, code, stderr) => {
    const answer = await run(...words);

    expect(answer.code).toBe(code);
    expect(answer.stderr).toContain(stderr);
    if (code === 0) expect(answer.stdout).toContain("npm run cluster:apply -- --stage dev");
  });
});
