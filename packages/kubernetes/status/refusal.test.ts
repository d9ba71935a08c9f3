import { describe, expect, it } from "vitest";
import { RunNotTaken, RunRefused } from "#core/problem.ts";
import { ApiRefused, ApiUnreachable } from "../client/api-error.ts";
import { asRefused, podRefusalIn } from "./refusal.ts";

const run = { image: "busybox", env: { TOKEN: 's3cret "quoted"' }, command: "train --all" };

function refused(status: number, message: string, reason = ""): unknown {
  return asRefused(new ApiRefused("POST /jobs", status, { message, reason }), run);
}

describe("the login to a registry", () => {
  const registryLogin = { username: "robot-7", password: 'pa55"word' };
  const text = JSON.stringify({ auths: { "https://index.docker.io/v1/": registryLogin } });

  it.each([
    `robot-7:${registryLogin.password}`,
    JSON.stringify(registryLogin),
    JSON.stringify({ stringData: { ".dockerconfigjson": text } }),
    `data: ${Buffer.from(text).toString("base64")}`,
  ])("is not repeated from a refusal with %j", (said) => {
    const error = new ApiRefused("POST /secrets", 422, { message: `Secret "x" is invalid: ${said}`, reason: "" });
    const { message } = asRefused(error, { ...run, registryLogin }) as Error;

    expect(message).toMatch(/^The cluster refuses the run: .*…/);
    expect(message).not.toMatch(/robot-7|pa55|eyJhdXRo/);
  });
});

it("is found although a user name is part of its words", () => {
  const registryLogin = { username: "denied the request", password: "exceeded quota" };
  const message = 'admission webhook "images.example.com" denied the request: only ours, not exceeded quota';

  const refusal = asRefused(new ApiRefused("POST /jobs", 403, { message, reason: "" }), { ...run, registryLogin });

  expect(refusal).toBeInstanceOf(RunRefused);
  expect((refusal as Error).message).toBe("Refused by the cluster's policy images.example.com: only ours, not …");
});

describe("a permanent refusal", () => {
  it.each([
    [
      422,
      'Job.batch "x-r1" is invalid: spec.template.spec.containers[0].image: Required value',
      "The cluster refuses the run: spec.template.spec.containers[0].image: Required value",
    ],
    [
      403,
      'persistentvolumeclaims "x" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi',
      "Refused by the cluster's limits: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
    ],
    [
      422,
      `jobs.batch "x-r1" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'b' denied request: only ours`,
      "Refused by the cluster's policy images: only ours",
    ],
    [
      403,
      'admission webhook "images.example.com" denied the request: only ours',
      "Refused by the cluster's policy images.example.com: only ours",
    ],
    [
      400,
      'admission webhook "images.example.com" denied the request without explanation',
      "Refused by the cluster's policy images.example.com",
    ],
    [413, "etcdserver: request is too large", "Its environment variables are too large for the cluster"],
  ])("concerns the run: %i %s", (status, message, words) => {
    const error = refused(status, message);

    expect(error).toBeInstanceOf(RunRefused);
    expect((error as Error).message).toBe(words);
  });

  it("repeats neither variables nor the command, plain or quoted", () => {
    const value = JSON.stringify(run.env.TOKEN);

    const error = refused(422, `spec.x: Invalid value: ${value}: and ${run.env.TOKEN} of ${run.command}`);

    expect((error as Error).message).toBe('The cluster refuses the run: spec.x: Invalid value: "…": and … of …');
  });
});

describe("a temporary refusal", () => {
  it.each([
    [403, 'jobs.batch "x" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1', "jobs of the cluster is"],
    [500, 'Internal error occurred: failed calling webhook "a.example.com": connection refused', "does not answer"],
  ])("has a reason: %i %s", (status, message, words) => {
    const error = refused(status, message);

    expect(error).toBeInstanceOf(RunNotTaken);
    expect((error as Error).message).toContain(words);
  });

  it.each([
    [401, "Unauthorized"],
    [403, 'jobs.batch is forbidden: User "berth" cannot create resource "jobs" in API group "batch"'],
    [409, 'jobs.batch "x" already exists'],
    [429, 'admission webhook "a.example.com" denied the request: later'],
    [500, "etcdserver: leader changed"],
  ])("stays an error that does not concern the run: %i %s", (status, message) => {
    expect(refused(status, message)).toBeInstanceOf(ApiRefused);
  });

  it("is missing without an answer", () => {
    const error = new ApiUnreachable("POST /jobs", "ECONNREFUSED");

    expect(asRefused(error, run)).toBe(error);
  });
});

describe("an event about a refused pod", () => {
  it.each([
    [
      "exceeded quota: gpus, requested: requests.nvidia.com/gpu=8, used: requests.nvidia.com/gpu=0, limited: requests.nvidia.com/gpu=0",
      "the quota gpus of the cluster is used up",
    ],
    [
      'Internal error occurred: failed calling webhook "pods.example.com": failed to call webhook: Post "https://hook.team-a.svc:443/admit?timeout=10s": dial tcp 10.0.12.7:443: connect: connection refused',
      "the cluster's webhook pods.example.com does not answer",
    ],
    ["status unknown for quota: gpus, resources: pods", "the quota gpus of the cluster is not counted yet"],
    [
      "insufficient quota to match these scopes: [{PriorityClass In [berth]}]",
      "no quota of the cluster allows its priority class",
    ],
    ["no PriorityClass with name berth was found", "the cluster has no priority class berth"],
    [
      "the server has received too many requests and has asked us to try again later",
      "the cluster's API server is overloaded or cannot be reached",
    ],
    ["etcdserver: request timed out", "the cluster's API server is overloaded or cannot be reached"],
    [
      "Internal error occurred: resource quota evaluation timed out",
      "the cluster's API server is overloaded or cannot be reached",
    ],
    [
      'Post "https://10.96.0.1:443/api/v1/namespaces/berth/pods": dial tcp 10.96.0.1:443: i/o timeout',
      "the cluster's API server is overloaded or cannot be reached",
    ],
  ])("is temporary: %s", (said, words) => {
    expect(podRefusalIn(said)).toEqual({ words, isForGood: false, passes: true });
  });

  it.each([
    'admission webhook "images.example.com" denied the request: only ours',
    'violates PodSecurity "restricted:latest": privileged',
    'Pod "x-r1-abcde" is invalid: spec.containers[0].image: Invalid value',
  ])("is permanent: %s", (said) => {
    expect(podRefusalIn(said)).toMatchObject({ isForGood: true, passes: false });
  });

  it.each([
    ["failed quota: gpus: must specify limits.cpu for: main", "failed quota: gpus: must specify limits.cpu for: main"],
    ["asked https://10.0.0.7:8443/check?key=1 and hook.team-a.svc.cluster.local:9443 in vain", "asked … and … in vain"],
    ["dial tcp [fd00:10:96::1]:443 or 192.168.3.4:80\u001b[2J\nnothing", "dial tcp … or … [2J nothing"],
  ])("counts as a try otherwise, without addresses inside the cluster: %s", (said, words) => {
    expect(podRefusalIn(said)).toEqual({ words, isForGood: false, passes: false });
  });

  it("hides the address in the message of a webhook that denies", () => {
    const said =
      'admission webhook "a.example.com" denied the request: https://10.1.2.3/why of policy.kyverno.svc says no';

    expect(podRefusalIn(said).words).toBe("Refused by the cluster's policy a.example.com: … of … says no");
  });
});
