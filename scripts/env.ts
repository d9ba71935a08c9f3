import { parseArgs } from "node:util";
import { readConfig } from "#aws/settings/config.ts";
import { shellEnvironment } from "#local/shell-environment.ts";
import { printableError } from "#local/shell-text.ts";

const help = `Prints what a shell needs to talk to the local stack that runs: eval "$(npm run --silent env)"

  --user NAME     whose key and AWS credentials: developer (usual), second, or one of LOCAL_USERS
  --fresh         a new key; else the last one, while it has more than an hour left
  --wait SECONDS  how long to wait for a stack that is being started (120)
`;

/** A shell evaluates standard output, so messages go to standard error. */
try {
  const { values } = parseArgs({
    options: {
      user: { type: "string" },
      fresh: { type: "boolean", default: false },
      wait: { type: "string", default: "120" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.error(help);
  } else {
    const { BERTH_HOME } = readConfig(["BERTH_HOME"]);
    const waitMs = Number(values.wait) * 1000;
    if (!(waitMs >= 0)) throw new Error("--wait must be a number of seconds");
    const { user, fresh } = values;
    const onWait = (home: string) => console.error(`Waiting for a local stack in ${home}. Start one with: npm start`);
    process.stdout.write(await shellEnvironment({ home: BERTH_HOME, fresh, user, waitMs, onWait }));
  }
} catch (error) {
  console.error(printableError(error));
  process.exitCode = 1;
}
