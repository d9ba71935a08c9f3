import { describe, expect, it } from "vitest";
import type { Pod } from "../objects.ts";
import { endOfPod } from "../status/end-reason.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { podRefusalIn } from "../status/refusal.ts";

const waitingFor = (reason: string, image: string, message: string): Pod =>
  ({
    metadata: {},
    spec: { nodeName: "one", containers: [{ name: "main", image, args: ["sync 10.4.4.4"] }] },
    status: { phase: "Pending", containerStatuses: [{ name: "main", state: { waiting: { reason, message } } }] },
  }) as unknown as Pod;
const unpulled = (image: string, message: string) => toMachineStatus(waitingFor("ErrImagePull", image, message)).reason;

/** containerd's message for an image of this registry. */
const pulling = (reference: string, url: string, why: string) =>
  `failed to pull and unpack image "${reference}": failed to resolve reference "${reference}": ` +
  `failed to do request: Head "${url}": ${why}`;
const shown = (reference: string, why: string) =>
  `The image could not be pulled yet: failed to pull and unpack image "${reference}": ` +
  `failed to resolve reference "${reference}": failed to do request: ${why}`;

describe("a message of the cluster for users", () => {
  it("keeps the registry of an image, and hides the name server", () => {
    const image = "images.example.com/team/app:1";
    const url = "https://images.example.com/v2/team/app/manifests/1";
    const why = "dial tcp: lookup images.example.com on 10.96.0.10:53: no such host";

    expect(unpulled(image, pulling(image, url, why))).toBe(
      shown(image, "dial tcp: lookup images.example.com on …: no such host"),
    );
  });

  it.each([
    ["two addresses of IPv4", "read udp 10.1.0.2:3234->10.96.0.10:53: i/o timeout", "read udp …->…: i/o timeout"],
    ["IPv6 with a port", "dial tcp [fd00:10:96::a]:443: i/o timeout", "dial tcp …: i/o timeout"],
    ["bare IPv6", "dial udp fd00:10:96::a: no route to host", "dial udp …: no route to host"],
    ["IPv6 of an interface", "dial tcp [fe80::1%eth0]:443: i/o timeout", "dial tcp …: i/o timeout"],
    ["IPv4 within IPv6", "connect to ::ffff:10.0.0.1 failed", "connect to … failed"],
    ["a proxy's URL with a port", "proxyconnect http://proxy.corp:3128/: EOF", "proxyconnect …: EOF"],
    ["a Service", "mirror.tools.svc.cluster.local:5000 is away", "… is away"],
  ])("hides %s", (_, message, words) => {
    expect(unpulled("app:1", message)).toBe(`The image could not be pulled yet: ${words}`);
  });

  it.each(["at 12:30:45 sha256:abcdef0123", "std::bad_alloc of arn:aws:iam::123456789012:role/x", "app:1.2.3 is busy"])(
    "keeps what only looks like an address: %s",
    (message) => {
      expect(unpulled("app:1", message)).toBe(`The image could not be pulled yet: ${message}`);
    },
  );

  it.each([
    ["10.0.12.7:5000/team/app:1.2.3.4", "dial tcp 10.0.12.7:5000: refused"],
    ["registry.tools.svc:5000/app:1", "lookup registry.tools.svc: no such host"],
    ["[fd00::7]:5000/app:1", "dial tcp [fd00::7]:5000: refused"],
  ])("keeps the registry that the user wrote, even if it is an address: %s", (image, why) => {
    const url = `https://${image.split("/")[0]}/v2/app`;

    expect(unpulled(image, pulling(image, url, why))).toBe(shown(image, why));
  });

  it("shows a URL of the user's registry as its host", () => {
    const message = "unexpected status from HEAD request to https://images.example.com/v2/app/manifests/1: 502";

    expect(unpulled("images.example.com/app:1", message)).toBe(
      "The image could not be pulled yet: unexpected status from HEAD request to images.example.com: 502",
    );
  });

  it("hides addresses in a runtime's message, but not those of the user's command", () => {
    const pod = waitingFor("CreateContainerError", "app:1", "10.0.0.9:1 could not run sync 10.4.4.4");

    expect(toMachineStatus(pod).reason).toBe("… could not run sync 10.4.4.4");
  });

  it("hides addresses in the reason of an end, but not in the name of the user's program", () => {
    const evicted = { reason: "Evicted", message: "told by https://10.0.0.4:10250/evict" };
    const pod = { ...waitingFor("", "app:1", ""), status: evicted } as Pod;
    const missing = 'exec: "/opt/app-1.2.3.4/run": stat /opt/app-1.2.3.4/run: no such file or directory';
    const unstarted = { exitCode: 128, reason: "StartError", message: missing };

    expect(endOfPod(pod, { exitCode: 137 }).reason).toBe("evicted by its machine: told by …");
    expect(endOfPod(waitingFor("", "app:1", ""), unstarted).reason).toBe(
      "The command could not be started: its image has no /opt/app-1.2.3.4/run",
    );
  });

  it("hides the Service that names a webhook", () => {
    expect(podRefusalIn('failed calling webhook "admit.hooks.svc": EOF').words).toBe(
      "the cluster's webhook … does not answer",
    );
  });

  it("reads a registry's endless text in a bounded time and shows 300 characters", () => {
    const words = unpulled("app:1", "a-".repeat(500_000));

    expect(words?.length).toBe("The image could not be pulled yet: ".length + 300);
  });
});
