import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";
import { startQuotas } from "../../stacks/plan/quota-fixture.ts";
import { addSst, encodeCa, makeStageFolder, runIn, writeKubeconfig } from "./stage-fixture.ts";

const { cert: ca } = selfSigned();
/** The quota of Lambda is not checked without credentials. */
const unasked = "Not checked: quota Concurrent executions: there are no AWS credentials.\n";
const withoutGateway = { ACCESS: "none", EKS_CA: encodeCa(ca) };

/** Writes a kubeconfig of a server that is gone, and returns its words. */
async function leadNowhere(folder: string): Promise<string[]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  const port = typeof address === "object" ? address?.port : undefined;
  return writeKubeconfig(folder, `https://127.0.0.1:${port}`, ca);
}

it("a stage whose cluster gives no answer is deployed, and the command says how to go on", async () => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 0);
  const nowhere = await leadNowhere(folder);

  const { code, stdout, stderr } = await runIn(folder, "deploy", [
    ...["--stage", "dev", "--yes", ...nowhere, "--verbose"],
  ]);

  // SST gets neither the options of the cluster nor their values.
  expect(stdout).toBe("sst deploy --stage dev --verbose\n");
  expect(code).toBe(3);
  expect(stderr).toContain(
    "The API server gave no answer (GET /api/v1/namespaces/berth-system/configmaps: ECONNREFUSED)",
  );
  expect(stderr).toContain("through a tunnel with --kubeconfig: docs/deploy.md#a-private-endpoint\n");
  expect(stderr).toContain(`Go on with: npm run cluster:apply -- --stage dev ${nowhere.join(" ")}\n`);
});

it("a failed deployment ends with the code of SST, and no cluster is asked", async () => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 7);

  const answer = await runIn(folder, "deploy", ["--stage", "dev", ...(await leadNowhere(folder))]);

  expect(answer).toEqual({ code: 7, stdout: "sst deploy --stage dev\n", stderr: unasked });
});

it("the compute of the local stack keeps no stage from its cluster", async () => {
  const folder = await makeStageFolder({ ...withoutGateway, COMPUTE: "process" });
  await addSst(folder, 0);

  const { code, stderr } = await runIn(folder, "deploy", ["--stage", "dev", ...(await leadNowhere(folder))]);

  expect([code, stderr]).toEqual([3, expect.stringContaining("The API server gave no answer")]);
});

it("with --no-cluster a stage needs no file and no gateway's settings, and no cluster is asked", async () => {
  const folder = await makeStageFolder({ SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}` });
  await addSst(folder, 0);

  const withFile = await runIn(folder, "deploy", ["--stage", "dev", "--no-cluster", "--verbose"]);
  const without = await runIn(folder, "deploy", ["--no-cluster", "--stage", "pipeline"]);

  const stderr = `${unasked}--no-cluster: no cluster was changed.\n`;
  expect(withFile).toEqual({ code: 0, stdout: "sst deploy --stage dev --verbose\n", stderr });
  expect(without).toEqual({ code: 0, stdout: "sst deploy --stage pipeline\n", stderr });
});

it.each([[], ["--no-cluster"]])(
  "a quota of Lambda that is too small is a warning before anything is made, with %j",
  async (...words) => {
    const folder = await makeStageFolder(withoutGateway);
    await addSst(folder, 7);
    const quotas = await startQuotas({ values: { "lambda/L-B99A9384": 10 } });

    const { code, stdout, stderr } = await runIn(folder, "deploy", ["--stage", "dev", ...words], quotas);

    expect([code, stdout]).toEqual([7, "sst deploy --stage dev\n"]);
    expect(stderr).toBe(
      "Warning: quota Concurrent executions: it is 10 concurrent executions, and this stage reserves 284, and Lambda keeps 100 " +
        "for all others. As an identity with servicequotas:RequestServiceQuotaIncrease: aws service-quotas " +
        "request-service-quota-increase --region eu-west-1 --service-code lambda --quota-code L-B99A9384 --desired-value 384\n",
    );
  },
);

it("what the gateway lacks is said before anything is made", async () => {
  const folder = await makeStageFolder({ SSH_HOST_KEYS: `ssh-ed25519 ${"A".repeat(68)}` });
  await addSst(folder, 0);

  const { code, stdout, stderr } = await runIn(folder, "deploy", ["--stage", "dev"]);

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("  GATEWAY_IMAGE must be the image that npm run images builds: it is not set\n");
});

it.each([
  [[], 2, "Name the stage with --stage\n"],
  [["--stage", "other"], 1, "There is no stage other: no .env.other\n"],
])("with %j it ends with exit code %i, and nothing is made", async (words, code, saying) => {
  const folder = await makeStageFolder(withoutGateway);
  await addSst(folder, 0);

  const answer = await runIn(folder, "deploy", words);

  expect(answer).toMatchObject({ code, stdout: "" });
  expect(answer.stderr).toContain(saying);
});
