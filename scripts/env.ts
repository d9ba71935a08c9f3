import { parseArgs } from "node:util";
import { readConfig } from "#aws/config.ts";
import { shellEnvironment } from "#local/shell-environment.ts";

/** Prints what a shell needs to talk to the running local stack: `eval "$(npm run --silent env)"`. */
try {
  const { values } = parseArgs({ options: { fresh: { type: "boolean", default: false } } });
  const { BERTH_HOME } = readConfig(["BERTH_HOME"]);
  process.stdout.write(await shellEnvironment({ home: BERTH_HOME, fresh: values.fresh }));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
