import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KubeClient, type KubeObject, kubeClient } from "./client.ts";
import { type Cluster, removed, seen, startCluster } from "./cluster.ts";
import type { Pod } from "./kubelet/pod.ts";
import { applyManifests, kustomizedFiles, readManifests } from "./manifests.ts";
import { getClaims, getJobs, getPods, makeJob, must, podsOfJob } from "./objects.ts";
import { exec } from "./stream-client.ts";

const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
const namespace = "berth-environments";
const account = "system:serviceaccount:berth-system:berth";
let cluster: Cluster;
let berth: KubeClient;
let serviceAccount: KubeClient;

beforeAll(async () => {
  cluster = await startCluster();
  await applyManifests(cluster.admin, await readManifests(folder));
  await cluster.addNodes([{ name: "gpu-a", instanceType: "p5.48xlarge" }]);
  berth = cluster.openClient("berth");
  serviceAccount = kubeClient({ ...cluster.controlPlane.getAccess("admin"), headers: { "Impersonate-User": account } });
});

afterAll(async () => {
  serviceAccount.close();
  await cluster.stop();
});

describe("the manifests", () => {
  it("are all listed in the kustomization", async () => {
    const { named, there } = await kustomizedFiles(folder);

    expect(named.toSorted()).toEqual(there.toSorted());
  });

  it("change nothing when they are applied again", async () => {
    const manifests = await readManifests(folder);

    const [first, second] = [
      await applyManifests(cluster.admin, manifests),
      await applyManifests(cluster.admin, manifests),
    ];

    expect(second.map(withoutStatus)).toEqual(first.map(withoutStatus));
  });
});

interface Applied extends KubeObject {
  readonly status?: unknown;
  readonly metadata: KubeObject["metadata"] & { readonly managedFields?: readonly { readonly subresource?: string }[] };
}

/** Returns an object without its status, which controllers write at any time. */
function withoutStatus({ status, metadata, ...rest }: Applied): object {
  const { resourceVersion, managedFields = [], ...others } = metadata;
  return {
    ...rest,
    metadata: others,
    managedFields: managedFields.filter(({ subresource }) => subresource !== "status"),
  };
}

/** Reports whether the client may do this, as the API server says. */
async function may(client: KubeClient, action: string): Promise<boolean> {
  const [verb, resource = "", where] = action.split(" ");
  const [, name = "", group = "", subresource] = /^([^./]+)(?:\.([^/]+))?(?:\/(.+))?$/.exec(resource) ?? [];
  const attributes = {
    verb,
    resource: name,
    group,
    ...(subresource ? { subresource } : {}),
    ...(where ? { namespace: where } : {}),
  };
  const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  const { status } = must(
    await client.post<{ status: { allowed: boolean } }>(path, {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: attributes },
    }),
  );
  return status.allowed;
}

describe.each(["the group", "the service account"])("%s", (who) => {
  const client = () => (who === "the group" ? berth : serviceAccount);

  it.each([
    `create jobs.batch ${namespace}`,
    `watch pods ${namespace}`,
    `create pods/exec ${namespace}`,
    `get pods/exec ${namespace}`,
    `patch pods/resize ${namespace}`,
    `patch pods ${namespace}`,
    `patch ingresses.networking.k8s.io ${namespace}`,
    `create networkpolicies.networking.k8s.io ${namespace}`,
    `list events ${namespace}`,
    `list secrets ${namespace}`,
    `create volumesnapshots.snapshot.storage.k8s.io ${namespace}`,
    "list volumesnapshotclasses.snapshot.storage.k8s.io",
    "delete volumeattachments.storage.k8s.io",
    "list nodes",
    "watch nodes",
    "list pods",
    "watch pods",
    "patch persistentvolumes",
    "create persistentvolumes",
    "delete persistentvolumes",
    `patch leases.coordination.k8s.io ${namespace}`,
  ])("may %s", async (action) => {
    expect(await may(client(), action)).toBe(true);
  });

  it.each([
    "create jobs.batch default",
    "list events default",
    "create jobs.batch berth-system",
    "create pods/exec kube-system",
    `create pods ${namespace}`,
    `get secrets ${namespace}`,
    "create networkpolicies.networking.k8s.io berth-system",
    "list secrets",
    `create serviceaccounts/token ${namespace}`,
    "create serviceaccounts/token berth-system",
    `patch roles.rbac.authorization.k8s.io ${namespace}`,
    "delete volumesnapshots.snapshot.storage.k8s.io default",
    "create volumeattachments.storage.k8s.io",
    "patch leases.coordination.k8s.io kube-node-lease",
    "patch nodes",
    "delete nodes",
    "delete namespaces",
    "patch validatingadmissionpolicies.admissionregistration.k8s.io",
  ])("may not %s", async (action) => {
    expect(await may(client(), action)).toBe(false);
  });
});

describe("the group of requests that run commands", () => {
  const client = () => cluster.openClient("commands");

  it.each([
    `get jobs.batch ${namespace}`,
    `patch jobs.batch ${namespace}`,
    `list pods ${namespace}`,
    `get pods/exec ${namespace}`,
    `create pods/exec ${namespace}`,
  ])("may %s", async (action) => {
    expect(await may(client(), action)).toBe(true);
  });

  it.each([
    `create jobs.batch ${namespace}`,
    `delete jobs.batch ${namespace}`,
    `delete pods ${namespace}`,
    `get pods/log ${namespace}`,
    `create pods/portforward ${namespace}`,
    `patch pods/resize ${namespace}`,
    `patch pods ${namespace}`,
    `list secrets ${namespace}`,
    `create services ${namespace}`,
    `delete persistentvolumeclaims ${namespace}`,
    "create pods/exec kube-system",
    "list pods",
    "list nodes",
    "patch persistentvolumes",
  ])("may not %s", async (action) => {
    expect(await may(client(), action)).toBe(false);
  });
});

describe("an environment", () => {
  it("can be created, inspected and removed with these rights", async () => {
    const { metadata: job } = await makeJob(berth, namespace, "work", {
      gpus: 8,
      script: { main: { output: "hello\n" } },
      pod: {
        priorityClassName: "berth-environment",
        volumes: [{ name: "disk", persistentVolumeClaim: { claimName: "disk" } }],
      },
    });
    const metadata = {
      name: "work",
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: job.name, uid: job.uid }],
    };
    const object = (apiVersion: string, kind: string, more: object) => ({ apiVersion, kind, ...more });
    must(await berth.apply(`/api/v1/namespaces/${namespace}/secrets/work`, object("v1", "Secret", { metadata })));
    must(
      await berth.apply(
        `/api/v1/namespaces/${namespace}/services/work`,
        object("v1", "Service", {
          metadata,
          spec: { type: "NodePort", ports: [{ port: 22, targetPort: "ssh" }] },
        }),
      ),
    );
    const claim = {
      storageClassName: "berth-gp3",
      accessModes: ["ReadWriteOncePod"],
      resources: { requests: { storage: "10Gi" } },
    };
    must(
      await berth.post(
        getClaims(namespace),
        object("v1", "PersistentVolumeClaim", { metadata: { name: "disk" }, spec: claim }),
      ),
    );

    const pod = await seen<Pod>(berth, podsOfJob(namespace, "work"), ({ status }) => status.phase === "Running");
    const log = must(await berth.get<string>(`${getPods(namespace)}/${pod.metadata.name}/log`));
    const result = await exec(berth, { namespace, pod: pod.metadata.name, command: ["sh", "-c", "exit 4"] });
    await berth.remove(`${getJobs(namespace)}/work`, {
      propagationPolicy: "Background",
      preconditions: { uid: job.uid },
    });
    // Objects that the Job owned go with it, but the disk stays.
    for (const path of ["secrets", "services"]) {
      await removed(cluster.admin, `/api/v1/namespaces/${namespace}/${path}/work`);
    }

    expect(pod).toMatchObject({ spec: { priority: 100_000, preemptionPolicy: "Never" } });
    expect(log).toBe("hello\n");
    expect(result.status.details).toMatchObject({ causes: [{ reason: "ExitCode", message: "4" }] });
    expect((await berth.get(`${getClaims(namespace)}/disk`)).status).toBe(200);
  });

  it("is not evicted before it has ended", async () => {
    const { metadata: job } = await makeJob(berth, namespace, "drained", { labels: { "berth/uid": "drained" } });
    const isRunning = ({ status }: Pod) => status.phase === "Running";
    const { metadata } = await seen<Pod>(berth, podsOfJob(namespace, "drained"), isRunning);
    const pod = `${getPods(namespace)}/${metadata.name}`;
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: metadata.name, namespace } };

    const refused = await cluster.admin.post<{ message: string }>(`${pod}/eviction`, eviction);
    const after = must(await berth.get<Pod>(pod));
    must(await berth.patch(`${getJobs(namespace)}/drained`, { spec: { activeDeadlineSeconds: 1 } }));
    await seen<Pod>(berth, podsOfJob(namespace, "drained"), ({ status }) => status.phase === "Failed");
    const ended = await cluster.admin.post(`${pod}/eviction`, eviction);

    expect(refused.status).toBe(429);
    expect(refused.body.message).toContain("disruption budget");
    expect(after.metadata).not.toHaveProperty("deletionTimestamp");
    // Its Job may have removed the pod already.
    expect([201, 404]).toContain(ended.status);
    await berth.remove(`${getJobs(namespace)}/drained`, { preconditions: { uid: job.uid } });
  });

  it("cannot access its node", async () => {
    await makeJob(berth, namespace, "host", { pod: { hostNetwork: true } });

    const event = await seen<KubeObject & { message: string; reason: string }>(
      berth,
      `/api/v1/namespaces/${namespace}/events`,
      ({ reason }) => reason === "FailedCreate",
    );

    expect(event.message).toContain('violates PodSecurity "baseline:latest"');
  });

  it("cannot have a load balancer", async () => {
    const { status, body } = await berth.post<{ message: string }>(`/api/v1/namespaces/${namespace}/services`, {
      metadata: { name: "open" },
      spec: { type: "LoadBalancer", ports: [{ port: 22 }] },
    });

    expect(status).toBe(403);
    expect(body.message).toContain("exceeded quota: environments");
  });
});

describe("volumes", () => {
  const path = "/api/v1/persistentvolumes";
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const touched = { metadata: { annotations: { touched: "yes" } } };
  const input = { spec: { claimRef: { name: "disk", namespace: "kube-system", uid: null, resourceVersion: null } } };
  const mayChange = [{ apiGroups: [""], resources: ["persistentvolumes"], verbs: ["get", "patch"] }];
  let people: Record<string, KubeClient>;

  const getClient = (name: string) =>
    kubeClient({ ...cluster.controlPlane.getAccess("admin"), headers: { "Impersonate-User": name } });
  const bind = async (user: string, role: string, where = "") => {
    const kind = where ? "RoleBinding" : "ClusterRoleBinding";
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: where ? "Role" : "ClusterRole", name: role };
    const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }];
    const folder = where ? `${rbac}/namespaces/${where}/rolebindings` : `${rbac}/clusterrolebindings`;
    must(await cluster.admin.post(folder, { kind, metadata: { name: `${user}-${role}` }, roleRef, subjects }));
  };
  const make = async (name: string, claimRef: object | undefined) => {
    const source = { csi: { driver: "any.csi.example", volumeHandle: name } };
    const size = { capacity: { storage: "10Gi" }, accessModes: ["ReadWriteOnce"], storageClassName: "none" };
    must(await cluster.admin.post(path, { metadata: { name }, spec: { ...size, claimRef, ...source } }));
  };

  // A policy takes effect some time after it was applied.
  beforeAll(async () => {
    await make("ours", { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "disk", namespace });
    await make("theirs", { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "disk", namespace: "kube-system" });
    await make("nobodys", undefined);
    must(await cluster.admin.post(`${rbac}/clusterroles`, { metadata: { name: "volumes" }, rules: mayChange }));
    await bind("by-hand", "berth");
    await bind("by-hand", "berth", namespace);
    await bind("provisioner", "volumes");
    people = {
      group: berth,
      account: serviceAccount,
      hand: getClient("by-hand"),
      provisioner: getClient("provisioner"),
    };
    while ((await berth.patch(`${path}/theirs?dryRun=All`, touched)).status !== 422) await sleep(50);
    for (const name of ["hand", "provisioner"]) while ((await change(name, "ours", touched)) !== 200) await sleep(50);
  });

  afterAll(() => {
    for (const client of [people.hand, people.provisioner]) client?.close();
  });

  const change = async (who: string, name: string, body: object) =>
    (await people[who]?.patch(`${path}/${name}?dryRun=All`, body))?.status;

  it.each(["group", "account", "hand"])(
    "can be changed by Berth only if they belong to environments: %s",
    async (who) => {
      const changes = ["ours", "theirs", "nobodys"].map((name) => change(who, name, touched));

      expect(await Promise.all(changes)).toEqual([200, 422, 422]);
      expect(await change(who, "ours", input)).toBe(422);
    },
  );

  const ebs = { csi: { driver: "ebs.csi.aws.com", volumeHandle: "vol-0123456789abcdef0" } };
  const ownClaim = { apiVersion: "v1", kind: "PersistentVolumeClaim", name: "vol-0123456789abcdef0", namespace };
  const ebsVolume = (spec: object = {}, name = "berth-vol-0123456789abcdef0") => ({
    metadata: { name },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOncePod"],
      persistentVolumeReclaimPolicy: "Retain",
      claimRef: ownClaim,
      ...ebs,
      ...spec,
    },
  });

  it.each(["group", "account", "hand"])("of EBS can be created by Berth for its environments: %s", async (who) => {
    const made = await people[who]?.post(`${path}?dryRun=All`, ebsVolume());

    expect(made?.status).toBe(201);
  });

  it.each([
    ["a directory of the node", ebsVolume({ csi: undefined, hostPath: { path: "/" } })],
    ["another driver's", ebsVolume({ csi: { ...ebs.csi, driver: "any.csi.example" } })],
    ["a volume of another name", ebsVolume({}, "berth-vol-0fedcba9876543210")],
    ["a volume that is deleted with its claim", ebsVolume({ persistentVolumeReclaimPolicy: "Delete" })],
    ["a volume of another namespace", ebsVolume({ claimRef: { ...ownClaim, namespace: "kube-system" } })],
    ["a volume without a claim", ebsVolume({ claimRef: undefined })],
  ])("of any other kind cannot be created by Berth: %s", async (_, body) => {
    const refused = await berth.post<{ message: string }>(`${path}?dryRun=All`, body);

    expect([refused.status, refused.body.message]).toEqual([422, expect.stringContaining("berth-volumes")]);
  });

  it("of Berth are removed without their EC2 volume, and those of a provisioner stay", async () => {
    must(await cluster.admin.post(path, ebsVolume()));
    const ownName = "berth-vol-0123456789abcdef0";
    const going = { spec: { persistentVolumeReclaimPolicy: "Delete" } };
    const remove = async (name: string) => (await berth.remove(`${path}/${name}?dryRun=All`)).status;

    expect([await change("group", ownName, touched), await change("group", ownName, going)]).toEqual([200, 422]);
    expect([await remove(ownName), await remove("ours"), await remove("theirs")]).toEqual([200, 422, 422]);
    await cluster.admin.remove(`${path}/${ownName}`);
  });

  it("can still be changed by cluster provisioners and administrators", async () => {
    const { status } = await cluster.admin.patch(`${path}/theirs?dryRun=All`, touched);

    expect([await change("provisioner", "theirs", touched), status]).toEqual([200, 200]);
  });
});
