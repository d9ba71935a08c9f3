import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readManifests } from "#kubernetes/setup/manifests.ts";
import { fillPrepull } from "#kubernetes/setup/prepull.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import type { KubeObject } from "../cluster/client.ts";
import { seen } from "../cluster/cluster.ts";
import { must } from "../cluster/objects.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { debianImage, pauseImage } from "./images.ts";

interface PrepullPod extends KubeObject {
  readonly spec: { readonly nodeName?: string };
  readonly status?: {
    readonly qosClass?: string;
    readonly containerStatuses?: readonly { readonly image: string; readonly state?: { readonly running?: object } }[];
  };
}

let fixture: DriverFixture;

beforeAll(async () => {
  const { archive } = await buildToolsImage(process.env);
  const nodes = [
    { name: "gpus", instanceType: "p5.48xlarge" },
    { name: "none", instanceType: "m7i.8xlarge" },
  ];
  fixture = await openDriverFixture({ nodes, archives: [archive], runsDeployments: true });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

it("images to pull ahead run on the machine with GPUs, even without a shell, and take none of its units", async () => {
  const { admin } = fixture.cluster;
  const folder = fileURLToPath(new URL("../../deploy/kubernetes/prepull", import.meta.url));
  const missing = "localhost:1/team/none:1";
  const images = [missing, debianImage, pauseImage];
  const setup = { images, toolsImage, deployment: "berth-dev", nodeTypes: [], tolerations: [], pods: {} };
  const [daemonSet] = fillPrepull(await readManifests(folder), setup);
  const isRunning = ({ status }: PrepullPod) =>
    status?.containerStatuses?.filter(({ state }) => state?.running).length === 2;

  must(await admin.post("/apis/apps/v1/namespaces/berth-environments/daemonsets", daemonSet ?? {}));
  const pods = "/api/v1/namespaces/berth-environments/pods";
  const pod = await seen<PrepullPod>(admin, pods, isRunning);
  const { items } = must(await admin.get<{ items: object[] }>(pods));
  const offered = await fixture.compute.listNodes();

  expect(pod).toMatchObject({ spec: { nodeName: "gpus" }, status: { qosClass: "BestEffort" } });
  expect(pod.status?.containerStatuses?.map(({ image, state }) => [image, state?.running !== undefined])).toEqual([
    [missing, false],
    [debianImage, true],
    [pauseImage, true],
  ]);
  expect(items).toHaveLength(1);
  expect(offered.find(({ name }) => name === "gpus")).toMatchObject({ units: 8, foreignUnits: 0 });
});
