import { describe, expect, it } from "vitest";
import type { Pod } from "../objects.ts";
import { toMachineStatus } from "./machine-status.ts";

const buildPod = (status: object, nodeName: string | undefined = "one", metadata: object = {}): Pod =>
  ({ metadata, spec: nodeName === undefined ? {} : { nodeName }, status }) as unknown as Pod;
const main = (state: object) => ({ containerStatuses: [{ name: "helper" }, { name: "main", state }] });
const waiting = (reason: string, message = "") =>
  buildPod({ phase: "Pending", ...main({ waiting: { reason, message } }) });
const ready = (status: string) => ({ conditions: [{ type: "Ready", status }] });
const running = main({ running: { startedAt: "2026-01-01T00:00:00Z" } });
const over = (terminated: object, more: object = {}) =>
  buildPod({
    phase: "Failed",
    ...main({
      terminated: { startedAt: "2026-01-01T00:00:00Z", finishedAt: "2026-01-01T00:00:09Z", ...terminated },
    }),
    ...more,
  });

describe("a living machine", () => {
  it("is unbound without a pod, or without a node of its pod", () => {
    expect(toMachineStatus(undefined)).toMatchObject({ state: "unbound", reason: null, started: false });
    expect(toMachineStatus(buildPod({ phase: "Pending" }, ""))).toMatchObject({ state: "image" });
    expect(toMachineStatus({ ...buildPod({ phase: "Pending" }), spec: {} })).toMatchObject({
      state: "unbound",
      reason: null,
    });
  });

  it("shows why it fits nowhere, in the scheduler's words without those about other pods", () => {
    const message =
      "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient nvidia.com/gpu. " +
      "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];

    expect(toMachineStatus({ ...buildPod({ phase: "Pending", conditions }), spec: {} })).toMatchObject({
      state: "unbound",
      reason:
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient nvidia.com/gpu",
    });
  });

  it.each([
    [waiting("ContainerCreating"), "image", false],
    [waiting("PodInitializing"), "container", false],
    [buildPod({ phase: "Running", ...running, ...ready("False") }), "probe", true],
    [buildPod({ phase: "Running", ...running, ...ready("True") }), "ready", true],
  ])("has the state of its container: %#", (pod, state, started) => {
    expect(toMachineStatus(pod)).toMatchObject({ state, started, reason: null, end: undefined });
  });

  it("says what its container waits for, and that an image may still come", () => {
    expect(toMachineStatus(waiting("CreateContainerConfigError", 'secret "x" not found'))).toMatchObject({
      state: "container",
      reason: 'secret "x" not found',
    });
    expect(toMachineStatus(waiting("ErrImagePull", "dial tcp: i/o\n  timeout"))).toMatchObject({
      state: "image",
      reason: "The image could not be pulled yet: dial tcp: i/o timeout",
    });
  });

  it("shows no control characters, whatever a registry or a runtime says", () => {
    const [unpulled, unstarted] = [
      waiting("ErrImagePull", "try\u001b[2J again\u202e\u0085later"),
      over({ exitCode: 128, reason: "StartError", message: 'exec: "a\u001b[2Jb": executable file not found' }),
    ];

    expect(toMachineStatus(unpulled).reason).toBe("The image could not be pulled yet: try [2J again later");
    expect(toMachineStatus(unstarted).reason).toBe("The command could not be started: its image has no a [2Jb");
  });
});

describe("a machine that never starts", () => {
  it("ends because of an invalid image name", () => {
    expect(toMachineStatus(waiting("InvalidImageName"))).toMatchObject({
      state: "ended",
      started: false,
      reason: "The name of the image is invalid",
      end: { exitCode: null },
    });
  });

  it.each([
    ["ErrImagePull", 'failed to resolve reference "x:1": x:1: not found', "Image not found"],
    ["ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: manifest unknown', "Image not found"],
    [
      "ErrImagePull",
      'failed to pull and unpack image "x:1": no match for platform in manifest: not found',
      "The image is for machines of another architecture",
    ],
    [
      "ErrImagePull",
      "no matching manifest for linux/arm64/v8 in the manifest list entries",
      "The image is for machines of another architecture",
    ],
    ["ErrImagePull", "pull access denied", "Image not found, or it needs a password"],
    ["ErrImagePull", "401 Unauthorized", "Image not found, or it needs a password"],
    ["ErrImagePull", "no basic auth credentials", "Image not found, or it needs a password"],
    [
      "ErrImagePull",
      "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://a.test/token: 403 Forbidden",
      "Image not found, or it needs a password",
    ],
  ])("may end for %s %s, and says that the node tries again", (reason, message, words) => {
    expect(toMachineStatus(waiting(reason, message))).toMatchObject({
      state: "image",
      end: undefined,
      unpulled: words,
      reason: expect.stringContaining(`${words}; the node tries again`),
    });
  });

  it("without a shell ends without an exit code", () => {
    const message = 'exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown';

    expect(toMachineStatus(over({ exitCode: 128, reason: "StartError", message }))).toMatchObject({
      state: "ended",
      started: false,
      end: { exitCode: null },
      reason: "The command could not be started: its image has no /bin/sh",
    });
  });

  it("shows the runtime's last message for another reason", () => {
    const message =
      "failed to create containerd task: OCI runtime create failed: runc create failed: " +
      'unable to start container process: error during container init: exec: "/x": permission denied';

    expect(toMachineStatus(over({ exitCode: 126, reason: "StartError", message }))).toMatchObject({
      reason: 'The command could not be started: exec: "/x": permission denied',
    });
  });
});

describe("a machine that has ended", () => {
  const endedAt = Date.UTC(2026, 0, 1, 0, 0, 9);
  const lostContainer = "its machine lost the container, as in a restart of the machine";

  it.each([
    [{ exitCode: 0, reason: "Completed" }, 0, null],
    [{ exitCode: 3, reason: "Error" }, 3, null],
    [{ exitCode: 128, reason: "Error" }, 128, null],
    [{ exitCode: 255, reason: "Error" }, 255, null],
    [{ exitCode: 137, reason: "Error" }, null, "command was killed by signal SIGKILL"],
    [{ exitCode: 143, reason: "Error" }, null, "command was killed by signal SIGTERM"],
    [
      { exitCode: 137, reason: "OOMKilled" },
      null,
      "command was killed by signal SIGKILL: it used more memory than it may",
    ],
    // The kernel killed only a child of the command.
    [{ exitCode: 0, reason: "OOMKilled" }, 0, null],
    [{ exitCode: 3, reason: "OOMKilled" }, 3, null],
    [{ exitCode: 143, reason: "OOMKilled" }, null, "command was killed by signal SIGTERM"],
    // containerd has found no task of the container, and kubelet no container.
    [{ exitCode: 255, reason: "Unknown" }, null, lostContainer],
    [{ exitCode: 137, reason: "ContainerStatusUnknown" }, null, lostContainer],
  ])("reports how it ended: %o", (terminated, exitCode, reason) => {
    expect(toMachineStatus(over(terminated))).toMatchObject({
      state: "ended",
      started: true,
      end: { exitCode, reason, endedAt },
    });
  });

  it.each([
    [
      "Evicted",
      "The node was low on resource: memory.",
      "evicted by its machine: The node was low on resource: memory.",
    ],
    ["DeadlineExceeded", "too long", "DeadlineExceeded: the time limit of the environment was reached"],
    ["Terminated", "Pod was terminated in response to imminent node shutdown.", "its machine was shut down"],
    ["UnexpectedAdmissionError", "no GPUs", "ended by the cluster: no GPUs"],
  ])("reports that the cluster ended it: %s", (reason, message, words) => {
    expect(toMachineStatus(over({ exitCode: 137 }, { reason, message }))).toMatchObject({
      reason: words,
      end: { exitCode: null },
    });
    expect(toMachineStatus(buildPod({ phase: "Failed", reason, message }))).toMatchObject({
      reason: words,
      started: false,
    });
  });

  it("counts as unbound, and as rejected, if its kubelet refused it before any container began", () => {
    const message = "Pod was rejected: Allocate failed due to no healthy devices present, which is unexpected";
    const status = { phase: "Failed", reason: "UnexpectedAdmissionError", message };
    const ran = { name: "main", state: { terminated: { exitCode: 137, reason: "Error", finishedAt: null } } };
    const refused = "Allocate failed due to no healthy devices present, which is unexpected";

    const { end, ...seen } = toMachineStatus(buildPod(status));

    expect(end).toBeUndefined();
    expect(seen).toMatchObject({ state: "unbound", started: false, isRejected: true });
    expect(seen.reason).toBe(`Its machine ${buildPod(status).spec.nodeName} refused it: ${refused}`);
    expect(toMachineStatus(buildPod({ ...status, containerStatuses: [ran] }))).toMatchObject({ state: "ended" });
    expect(toMachineStatus(buildPod({ ...status, message: "no GPUs" }))).toMatchObject({ state: "ended" });
  });

  it("has started if the cluster ended its pod while its command ran, and not if that waited at its gate", () => {
    const containers = [{ command: ["/.berth/supervisor", "run", "--gated"] }];
    const failed = (spec: object, more: object = {}) => {
      const pod = buildPod({ phase: "Failed", containerStatuses: [{ name: "main", state: { running: {} }, ...more }] });
      return toMachineStatus({ ...pod, spec: { ...pod.spec, ...spec } });
    };

    expect(failed({})).toMatchObject({ state: "ended", started: true });
    expect(failed({ containers })).toMatchObject({ state: "ended", started: false });
    expect(failed({ containers }, { started: true })).toMatchObject({ state: "ended", started: true });
  });

  it("says that its machine is gone once the garbage collector of pods has failed it, before its pod is deleted", () => {
    const conditions = [{ type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC" }];

    expect(toMachineStatus(buildPod({ phase: "Failed", ...running, conditions }))).toMatchObject({
      state: "ended",
      started: true,
      reason: "its machine is gone",
    });
  });

  it("has started and is lost if its node has lost the container of a pod that it ended", () => {
    const lost = { exitCode: 137, reason: "ContainerStatusUnknown", finishedAt: null };
    const status = {
      name: "main",
      state: { waiting: { reason: "ContainerCreating" } },
      lastState: { terminated: lost },
    };
    const seen = (more: Partial<Pod["status"]>) =>
      toMachineStatus(buildPod({ phase: "Failed", containerStatuses: [status], ...more }));

    expect(seen({})).toMatchObject({ started: true, reason: lostContainer });
    expect(seen({ reason: "Evicted", message: "full" })).toMatchObject({
      started: true,
      reason: "evicted by its machine: full",
    });
  });

  it("has ended although a sidecar has not", () => {
    const pod = buildPod({ phase: "Running", ...main({ terminated: { exitCode: 0 } }) });

    expect(toMachineStatus(pod)).toMatchObject({ state: "ended", end: { exitCode: 0, endedAt: null } });
  });
});

describe("a machine whose run has a login of its own", () => {
  const metadata = { labels: { "berth/uid": "a".repeat(32), "berth/run": "2" } };
  const withLogin = (status: object, names = [`registry-${"a".repeat(32)}-r2`]) =>
    ({
      metadata,
      spec: { nodeName: "one", imagePullSecrets: names.map((name) => ({ name })) },
      status,
    }) as unknown as Pod;
  const unpulled = { reason: "ErrImagePull", message: "401 Unauthorized" };

  it("says that the registry may refuse the login", () => {
    const status = { phase: "Pending", ...main({ waiting: unpulled }) };

    expect(toMachineStatus(withLogin(status)).unpulled).toBe(
      "Image not found, or its registry refuses the login of this job",
    );
    expect(toMachineStatus(withLogin(status, ["registry-of-the-operator"])).unpulled).toBe(
      "Image not found, or it needs a password",
    );
  });

  it("does not blame the operator's image for a refused login", () => {
    const tools = { name: "tools", state: { waiting: unpulled } };
    const status = { phase: "Pending", initContainerStatuses: [tools] };

    expect(toMachineStatus(withLogin(status))).toMatchObject({
      reason: "The registry refuses the login of this job",
      unpulled: "The registry refuses the login of this job",
    });
    expect(toMachineStatus(withLogin(status, ["mirror"])).reason).toMatch(
      /^The image of TOOLS_IMAGE could not be pulled/,
    );
  });
});
