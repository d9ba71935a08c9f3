import { describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { Pod, Terminated } from "../objects.ts";
import { jobOfRun } from "../runs/run-job.ts";
import { toMachineStatus } from "../status/machine-status.ts";

const toolsImage = "registry.test/berth-tools:1";
const run: Run = {
  uid: "a".repeat(32),
  run: 1,
  key: "owner#o#env#gpu-dev|j",
  name: "training",
  pool: "h100",
  instanceType: "p5.48xlarge",
  image: "registry.test/static:1",
  command: "train $(HOME)",
  env: {},
  shares: [{ node: "one", units: 1 }],
  gpusPerMachine: 1,
  mounts: [],
  ports: [],
  resources: null,
  until: 3_600_000,
};

const buildPod = (changes: Partial<Run> = {}, machine = 0, image: string | undefined = toolsImage): Pod["spec"] => {
  const job = jobOfRun({ ...run, ...changes }, machine, { deployment: "one", now: 0, toolsImage: image });
  return (job as { spec: { template: { spec: Pod["spec"] } } }).spec.template.spec;
};
const findMain = (changes: Partial<Run> = {}, machine = 0) => buildPod(changes, machine).containers?.[0];
const http = (port: number) => ({ port, kind: "http" as const });

describe("a run with the tools image", () => {
  it("starts through the supervisor, which an init container copies into it", () => {
    const mount = { name: "berth", mountPath: "/.berth" };

    expect(buildPod()).toMatchObject({
      initContainers: [
        { image: toolsImage, command: ["/tools/supervisor", "install", "/.berth"], volumeMounts: [mount] },
      ],
      volumes: [{ name: "shm" }, { name: "berth", emptyDir: {} }],
    });
    expect(buildPod().initContainers?.[0]?.resources).toEqual({
      limits: { cpu: "100m", memory: "64Mi" },
      requests: { cpu: "100m", memory: "64Mi" },
    });
    expect(findMain()).toMatchObject({
      command: ["/.berth/supervisor", "run", "--grace", "10s", "--ended", "/dev/termination-log"],
      args: ["--", "/bin/sh", "-c", "train $$(HOME)"],
      volumeMounts: [{ name: "shm" }, mount],
    });
  });

  it("needs no shell to stay alive without a command", () => {
    expect(findMain({ command: undefined })).toMatchObject({ args: [] });
  });

  it("waits for its other machines, and is probed on all of its ports", () => {
    const shares = [run.shares[0], run.shares[0]] as Run["shares"];
    const ports = [http(8000), { port: 22, kind: "ssh" as const }, http(8001), http(8002)];

    expect(findMain()).not.toHaveProperty("startupProbe");
    expect(findMain({ shares })).toMatchObject({
      command: expect.arrayContaining(["--gated"]),
      startupProbe: { exec: { command: ["/.berth/supervisor", "ready"] } },
    });
    expect(findMain({ ports })).toMatchObject({
      command: expect.arrayContaining(["--ports", "8000,8001,8002"]),
      startupProbe: { exec: { command: ["/.berth/supervisor", "ready"] } },
      readinessProbe: { tcpSocket: { port: 8000 } },
    });
    expect(findMain({ ports, shares }, 1)?.command).not.toContain("--ports");
  });

  it.each([
    ["its image serves of its own accord", buildPod({ command: undefined, ports: [http(8000)] })],
    ["no image is set", buildPod({}, 0, "")],
  ])("goes without it if %s", (_, pod) => {
    expect(pod).not.toHaveProperty("initContainers");
    expect(pod.containers?.[0]?.command?.[0]).not.toBe("/.berth/supervisor");
  });
});

describe("the end of a command", () => {
  const seen = (message: string | undefined, terminated: Partial<Terminated> = {}, spec = buildPod()) => {
    const state = { terminated: { exitCode: 137, message, ...terminated } };
    const status = { phase: "Failed", containerStatuses: [{ name: "main", state }] };
    return toMachineStatus({ metadata: {}, spec: { ...spec, nodeName: "one" }, status } as unknown as Pod).end;
  };
  const killed = "command was killed by signal SIGKILL";

  it.each([
    ["its own exit code", '{"started":true,"exitCode":137}', { started: true, exitCode: 137, reason: null }],
    ["a signal", '{"started":true,"signal":9}', { started: true, exitCode: null, reason: killed }],
    [
      "that it never began",
      '{"started":false,"problem":"train: not found"}',
      { started: false, exitCode: null, reason: "The command could not be started: train: not found" },
    ],
  ])("is %s, as the supervisor reports it", (_, message, end) => {
    expect(seen(message)).toMatchObject(end);
  });

  it.each([undefined, "", "null", "[]", "killed", '{"started":"no"}'])(
    "is the one that the cluster reports if the message of the supervisor is %s",
    (message) => {
      expect(seen(message)).toMatchObject({ started: true, exitCode: null, reason: killed });
    },
  );

  it.each(["1", "[]", "{}", "null", "true"])("is reported although the problem is %s", (problem) => {
    expect(seen(`{"started":false,"problem":${problem}}`)).toMatchObject({ started: false, exitCode: null });
  });

  it("is the one that the cluster reports if it knows more, or if there is no supervisor", () => {
    expect(seen('{"started":true,"exitCode":137}', { reason: "OOMKilled" })?.reason).toContain("more memory");
    expect(seen('{"started":false,"problem":"no"}', {}, buildPod({}, 0, ""))).toMatchObject({ started: true });
  });
});

describe("a waiting machine", () => {
  const shares = [run.shares[0], run.shares[0]] as Run["shares"];
  const seen = (started: boolean, changes: Partial<Run>) => {
    const main = { name: "main", started, state: { running: {} } };
    const status = { phase: "Running", containerStatuses: [main] };
    return toMachineStatus({ metadata: {}, spec: { ...buildPod(changes), nodeName: "one" }, status } as unknown as Pod);
  };

  it("has not started before its command begins", () => {
    expect(seen(false, { shares })).toMatchObject({ state: "container", started: false });
    expect(seen(true, { shares })).toMatchObject({ state: "probe", started: true });
    expect(seen(false, {})).toMatchObject({ state: "probe", started: true });
  });

  it("names the tools image that it waits for", () => {
    const waiting = { reason: "ImagePullBackOff", message: "Back-off pulling image" };
    const status = {
      phase: "Pending",
      initContainerStatuses: [{ name: "tools", state: { waiting } }],
      containerStatuses: [{ name: "main", state: { waiting: { reason: "PodInitializing" } } }],
    };
    const pod = { metadata: {}, spec: { ...buildPod(), nodeName: "one" }, status } as unknown as Pod;

    expect(toMachineStatus(pod)).toMatchObject({
      state: "image",
      end: undefined,
      reason: expect.stringContaining("TOOLS_IMAGE"),
    });
  });

  const failed = { exitCode: 128, reason: "StartError" };
  const noSupervisor = 'failed to start: exec: "/tools/supervisor": stat /tools/supervisor: no such file or directory';

  it.each([
    ["another image", { ...failed, message: noSupervisor }, "its image has no /tools/supervisor"],
    ["another architecture", { ...failed, message: "exec format error" }, "exec format error"],
    ["a full disk", { exitCode: 70, reason: "Error" }, "exit code 70"],
    ["too little memory", { exitCode: 137, reason: "OOMKilled" }, "it used more memory than it may"],
  ])("names the tools image if it fails because of %s", (_, terminated, why) => {
    expect(endOfTools(terminated)).toMatchObject({
      state: "ended",
      started: false,
      end: { exitCode: null, reason: expect.stringMatching(new RegExp(`^The tools of TOOLS_IMAGE .*: ${why}$`)) },
    });
  });

  it("does not name the tools image if a signal ended it, as when its machine goes", () => {
    expect(endOfTools({ exitCode: 143, reason: "Error" }).reason).not.toContain("TOOLS_IMAGE");
  });

  function endOfTools(terminated: object) {
    const status = {
      phase: "Failed",
      initContainerStatuses: [{ name: "tools", state: { terminated } }],
      containerStatuses: [{ name: "main", state: { waiting: { reason: "PodInitializing" } } }],
    };
    return toMachineStatus({ metadata: {}, spec: { ...buildPod(), nodeName: "one" }, status } as unknown as Pod);
  }
});
