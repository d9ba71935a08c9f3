import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("plan.ts", import.meta.url));

test("the plan says what it waits for, and ends with the costs beside a stage", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "--stage", "printed"], { encoding: "utf8" });

  expect([status, stderr]).toEqual([
    0,
    "Asking the components of SST what stage printed would be made of: about a minute\n",
  ]);
  expect(stdout).toContain("\nStage printed would have:\n");
  expect(stdout).toMatch(/^Made up, .* SSH_HOST_KEYS=ssh-ed25519 A+/);
  expect(stdout).toContain("\nACCESS=gateway: SSH and pages, by the gateway's load balancer");
  const [, beside = ""] = stdout.split("\nBeside the stage, ");
  for (const name of ["EBS, a disk", "EKS, the control plane", "NAT gateway", "load balancer"])
    expect(beside).toMatch(new RegExp(`^ +\\$\\d+\\.\\d\\d  ${name}.*, each `, "m"));
});
