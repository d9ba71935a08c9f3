import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { applyPlan, planApply } from "#kubernetes/setup/apply.ts";
import { listCapabilityStages, markCapabilities } from "#kubernetes/setup/capability-stages.ts";
import { readInventory } from "#kubernetes/setup/inventory.ts";
import type { Manifest } from "#kubernetes/setup/manifests.ts";
import { formatPlan } from "#kubernetes/setup/plan-lines.ts";
import { addSst, encodeCa, makeStageFolder, runIn } from "../../scripts/cluster/stage-fixture.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { must } from "./objects.ts";

const system = "/api/v1/namespaces/berth-system";
let cluster: Cluster;
let client: ApiClient;

beforeAll(async () => {
  cluster = await startCluster();
  const { url, ca, token } = cluster.controlPlane.getAccess("admin");
  client = apiClient({ url, ca, token: async () => token, deadlineMs: 60_000 });
});

afterAll(async () => {
  client.close();
  await cluster.stop();
});

const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "berth-system" } };
const object = (kind: "ConfigMap" | "Secret", name: string, data: object): Manifest => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace: "berth-system" },
  data,
});
const plan = (deployment?: string, ...manifests: Manifest[]) =>
  planApply(client, [namespace], deployment === undefined ? undefined : { deployment, manifests });
const apply = async (deployment?: string, ...manifests: Manifest[]) => {
  const planned = await plan(deployment, ...manifests);
  await applyPlan(client, planned);
  return formatPlan(planned.changes);
};
const statusOf = async (path: string) => (await cluster.admin.get(`${system}/${path}`)).status;

describe("objects of one deployment", () => {
  it("stay while others on the cluster are applied, and go with their own deployment, but no Secret does", async () => {
    const own = [object("ConfigMap", "own", {}), object("Secret", "own-key", { keys: "b25l" })];
    const first = await apply("berth-a", ...own);
    const without = await apply();
    const other = await apply("berth-b", object("ConfigMap", "other", {}));
    const again = await apply("berth-a", ...own);
    const ended = await apply("berth-a");

    expect(first).toEqual(expect.arrayContaining(["+ ConfigMap berth-system/own", "+ Secret berth-system/own-key"]));
    expect(without).toEqual(["= 1 object is as wanted"]);
    expect(other).toEqual(["+ ConfigMap berth-system/other", "= 1 object is as wanted"]);
    expect(again).toEqual(["= 3 objects are as wanted"]);
    expect(ended.toSorted()).toEqual([
      "! Secret berth-system/own-key of a former version stays: its keys cannot be made again; delete it yourself",
      "- ConfigMap berth-system/own: of a former version",
      "= 1 object is as wanted",
    ]);
    const statuses = [statusOf("configmaps/own"), statusOf("secrets/own-key"), statusOf("configmaps/other")];
    expect(await Promise.all(statuses)).toEqual([404, 200, 200]);
    const listed = (await readInventory(client)).objects.map(({ metadata: { name } }) => name);
    expect(listed.toSorted()).toEqual(["berth-system", "other"]);
  });

  it("say which deployments need deploy/kubernetes/capabilities, until one needs it no more", async () => {
    await apply("berth-a", markCapabilities("berth-a"));
    await apply("berth-b", markCapabilities("berth-b"));
    const both = await listCapabilityStages(client);
    await apply("berth-b");

    expect(both).toEqual(["berth-a", "berth-b"]);
    expect(await listCapabilityStages(client)).toEqual(["berth-a"]);
    await apply("berth-a");
  });

  it("are refused to another deployment, also if kubectl applied them", async () => {
    await apply("berth-a", object("ConfigMap", "taken", { of: "a" }));
    const byHand = object("ConfigMap", "by-hand", { TABLE_NAME: "berth-c" });
    must(await cluster.admin.post(`${system}/configmaps`, byHand));
    const wanted = [object("ConfigMap", "taken", { of: "b" }), object("ConfigMap", "by-hand", {})];

    const planned = await plan("berth-b", ...wanted, object("ConfigMap", "new", {}));

    expect(formatPlan(planned.changes)).toEqual(
      expect.arrayContaining([
        "! ConfigMap berth-system/taken is of berth-a",
        "! ConfigMap berth-system/by-hand is of berth-c",
      ]),
    );
    await expect(applyPlan(client, planned)).rejects.toThrow("These objects are of berth-a, berth-c, and a cluster");
    expect(await statusOf("configmaps/new")).toBe(404);
  });

  it("that are Secrets show the names of changed fields, and no value", async () => {
    await apply("berth-a", object("Secret", "shown", { keys: "b2xk" }));

    const lines = formatPlan((await plan("berth-a", object("Secret", "shown", { keys: "bmV3" }))).changes);

    expect(lines).toEqual(expect.arrayContaining(["~ Secret berth-system/shown", "    data.keys"]));
    expect(lines.join()).not.toMatch(/b2xk|bmV3/);
  });
});

describe("npm run cluster:apply with a stage", () => {
  const gateway = {
    GATEWAY_IMAGE: "berth.test/berth-gateway:1",
    GATEWAY_CERTIFICATE_ARN: "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b",
  };
  const kubeconfig = () => ["--kubeconfig", join(cluster.controlPlane.home, "admin.kubeconfig")];
  const authority = () => {
    const { ca: chain } = cluster.controlPlane.getAccess("admin");
    return { EKS_CA: encodeCa(chain.slice(chain.lastIndexOf("-----BEGIN"))) };
  };
  const run = async (settings: Readonly<Record<string, string>>, ...words: string[]) =>
    runIn(await makeStageFolder({ ...authority(), ...settings }), "apply", [
      "--stage",
      "dev",
      ...kubeconfig(),
      "--yes",
      ...words,
    ]);
  const hostKey = async () => {
    const key = newSshKey();
    const file = join(await mkdtemp(join(tmpdir(), "berth-key-")), "keys");
    onTestFinished(() => rm(join(file, ".."), { recursive: true }));
    await writeFile(file, key.private);
    return { file, key };
  };

  it("makes the gateway with ACCESS=gateway, never shows its key, and removes it without", async () => {
    const { file, key } = await hostKey();
    const entered = { ...gateway, SSH_HOST_KEYS: key.public, HOST_KEY_FILE: file };

    const none = await run({ ACCESS: "none", ...gateway });
    const without = await statusOf("services/berth-gateway");
    const made = await run(entered);
    const again = await run(entered, "--diff");
    const other = await run({ ...entered, DOMAIN: "new.test" }, "--diff");
    const settings = must(await cluster.admin.get<{ data: object }>(`${system}/configmaps/berth-gateway`));
    const secret = must(
      await cluster.admin.get<{ data: { keys: string } }>(`${system}/secrets/berth-gateway-host-key`),
    );
    const ended = await run({ ACCESS: "none" });

    expect([none.code, without]).toEqual([0, 404]);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("+ Deployment berth-system/berth-gateway\n"),
    });
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^= \d+ objects are as wanted\n$/) });
    expect(other.stdout).toContain('    data.DOMAIN: "berth.test" → "new.test"\n');
    expect(settings.data).toMatchObject({ TABLE_NAME: "berth-dev", AWS_REGION: "eu-west-1", DOMAIN: "berth.test" });
    expect(Buffer.from(secret.data.keys, "base64").toString()).toBe(key.private);
    expect(made.stdout + made.stderr).not.toContain("PRIVATE KEY");
    expect(made.stdout + made.stderr).not.toContain(secret.data.keys);
    expect(ended.stdout).toContain("- Deployment berth-system/berth-gateway: of a former version\n");
    expect(ended.stdout).toContain("! Secret berth-system/berth-gateway-host-key of a former version stays");
    expect(await statusOf("services/berth-gateway")).toBe(404);
  });

  it("names what the gateway lacks, and changes nothing", async () => {
    const [{ file }, { key }] = await Promise.all([hostKey(), hostKey()]);

    const unset = await run({ SSH_HOST_KEYS: key.public });
    const elsewhere = "arn:aws:acm:us-east-1:111122223333:certificate/0a1b";
    const wrong = await run({ ...gateway, SSH_HOST_KEYS: key.public, GATEWAY_CERTIFICATE_ARN: elsewhere });
    const otherKey = await run({ ...gateway, SSH_HOST_KEYS: key.public, HOST_KEY_FILE: file });

    const certificate = "  GATEWAY_CERTIFICATE_ARN must be the ARN of a certificate for *.<DOMAIN> in eu-west-1\n";
    const [place, ...reasons] = unset.stderr.split("\n");
    expect(unset).toMatchObject({ code: 1, stdout: "" });
    expect(place).toMatch(/^deploy\/kubernetes on context \S+, https:\S+:$/);
    expect(reasons.join("\n")).toBe(
      "The gateway of stage dev cannot be applied (docs/deploy.md#let-users-in):\n" +
        `  GATEWAY_IMAGE must be the image that npm run images builds: it is not set\n${certificate}`,
    );
    expect(wrong.stderr).toContain(`:\n${certificate}`);
    expect(otherKey.stderr).toContain("SSH_HOST_KEYS must name the public half of the first key in HOST_KEY_FILE");
    expect([wrong.code, otherKey.code]).toEqual([1, 1]);
  });

  it("keeps what an apply without a stage made for POD_CAPABILITIES and PREPULL_IMAGES", async () => {
    const folder = await makeStageFolder({ ...authority(), ACCESS: "none" });
    const shell = { POD_CAPABILITIES: "SYS_PTRACE", PREPULL_IMAGES: "torch:2", TOOLS_IMAGE: "tools:1" };
    const withoutStage = (variables: Readonly<Record<string, string>>) =>
      runIn(folder, "apply", [...kubeconfig(), "--yes"], variables);

    await withoutStage(shell);
    const stage = await runIn(folder, "apply", ["--stage", "dev", ...kubeconfig(), "--yes"]);
    const again = await withoutStage(shell);
    const ended = await withoutStage({});

    expect(stage.stdout).not.toMatch(/^-/m);
    expect(stage.stderr).toContain("\ndeploy/kubernetes/capabilities stays for no-stage\n");
    expect(again.stdout).toMatch(/^= \d+ objects are as wanted\n$/);
    expect(ended.stdout).toContain("- ValidatingAdmissionPolicy berth-pods: of a former version\n");
    expect(ended.stdout).toContain("- DaemonSet berth-environments/berth-prepull: of a former version\n");
  });

  it("is what npm run deploy ends with, which takes the rights to do so from --yes", async () => {
    const folder = await makeStageFolder({ ...authority(), ACCESS: "none" });
    await addSst(folder, 0);
    await runIn(folder, "apply", ["--stage", "dev", ...kubeconfig(), "--yes"]);
    must(await cluster.admin.remove("/apis/scheduling.k8s.io/v1/priorityclasses/berth-environment"));

    const unasked = await runIn(folder, "deploy", ["--stage", "dev", ...kubeconfig()]);
    const deployed = await runIn(folder, "deploy", ["--stage", "dev", ...kubeconfig(), "--yes"]);

    const line = "sst deploy --stage dev\n+ PriorityClass berth-environment\n";
    expect(unasked).toMatchObject({ code: 3, stdout: expect.stringContaining(line) });
    expect(unasked.stderr).toContain("Nothing was applied: add --yes");
    expect(deployed).toMatchObject({ code: 0, stdout: expect.stringContaining(line) });
    expect(deployed.stderr).toContain("Applied.\n");
  });
});
