import { spawn } from "node:child_process";
import { binaryPath, buildBinary, KUBERNETES_VERSION, whyNotBuilt } from "#tests/cluster/binary.ts";
import { buildTools } from "./images/tools-programs.ts";

/** `npm run test:cluster` builds the control plane and images/tools once, then runs the tests on them. */
const reason = await whyNotBuilt(process.env);
if (reason === undefined) await runTests();
else console.log(`skipped: the tests on a Kubernetes control plane need Go to build it: ${reason}`);

async function runTests(): Promise<void> {
  console.log(`Kubernetes ${KUBERNETES_VERSION} in ${await binaryPath(process.env)} (built if missing)`);
  await buildBinary(process.env);
  await buildTools(process.env);
  const args = ["run", "--project", "cluster", ...process.argv.slice(2)];
  const child = spawn("vitest", args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  child.on("exit", (code) => process.exit(code ?? 1));
}
