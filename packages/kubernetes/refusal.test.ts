import { describe, expect, it } from "vitest";
import { RunNotTaken, RunRefused } from "#core/problem.ts";
import { ApiRefused, ApiUnreachable } from "./api-error.ts";
import { asRefused } from "./refusal.ts";

const run = { env: { TOKEN: 's3cret "quoted"' }, command: "train --all" };

function refused(status: number, message: string, reason = ""): unknown {
  return asRefused(new ApiRefused("POST /jobs", status, { message, reason }), run);
}

describe("a refusal that stays", () => {
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
  ])("is one for the run: %i %s", (status, message, words) => {
    const error = refused(status, message);

    expect(error).toBeInstanceOf(RunRefused);
    expect((error as Error).message).toBe(words);
  });

  it("repeats neither variables nor the command, as they are or quoted", () => {
    const value = JSON.stringify(run.env.TOKEN);

    const error = refused(422, `spec.x: Invalid value: ${value}: and ${run.env.TOKEN} of ${run.command}`);

    expect((error as Error).message).toBe('The cluster refuses the run: spec.x: Invalid value: "…": and … of …');
  });
});

describe("a refusal that passes", () => {
  it.each([
    [403, 'jobs.batch "x" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1', "jobs of the cluster is"],
    [500, 'Internal error occurred: failed calling webhook "a.example.com": connection refused', "does not answer"],
  ])("is said in words: %i %s", (status, message, words) => {
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
  ])("stays what it is, and is no word on the run: %i %s", (status, message) => {
    expect(refused(status, message)).toBeInstanceOf(ApiRefused);
  });

  it("is none where nobody answered", () => {
    const error = new ApiUnreachable("POST /jobs", "ECONNREFUSED");

    expect(asRefused(error, run)).toBe(error);
  });
});
