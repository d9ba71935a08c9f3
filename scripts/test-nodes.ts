import { spawn } from "node:child_process";
import { buildBinary } from "#tests/cluster/binary.ts";
import { buildImages } from "#tests/nodes/images.ts";
import { buildPrograms } from "#tests/nodes/programs.ts";
import { findMissing, lacksSysResource, readFacts } from "#tests/nodes/requirements.ts";

/** `npm run test:nodes` builds a control plane, a kubelet and images once, then runs the tests on real nodes. */
const facts = await readFacts(process.env);
const missing = findMissing(facts);
if (missing === undefined) await runTests();
else console.log(`skipped: the tests on real nodes: ${missing}`);

async function runTests(): Promise<void> {
  if (lacksSysResource(facts)) console.log("Without CAP_SYS_RESOURCE, containers keep the OOM score of these tests");
  await buildBinary(process.env);
  await buildPrograms(process.env);
  await buildImages(process.env);
  const child = spawn("vitest", ["run", "--project", "nodes", ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  child.on("exit", (code) => process.exit(code ?? 1));
}
