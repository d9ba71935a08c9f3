import { spawnSync } from "node:child_process";
import { CliError, describeError, exitCodes, QuietExit } from "../../failure.ts";
import { connect } from "../../login/connect.ts";
import { describeRsync } from "../../ssh/rsync-version.ts";
import { ownSshKey } from "../../ssh/ssh-key.ts";
import { statePath } from "../../state/state.ts";
import { textRows } from "../../terminal/layout.ts";
import { out, outJson, outputColumns } from "../../terminal/terminal.ts";
import { printable, told } from "../../terminal/text.ts";
import { isOlder, version } from "../../version.ts";

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
}

/** Checks each part that a session needs. Each fault comes with a remedy. */
export async function doctor({ json }: { readonly json: boolean }): Promise<void> {
  const checks: readonly (readonly [string, () => Promise<string> | string])[] = [
    ["Node", () => process.version],
    ["proxy", proxy],
    ["deployment", reachDeployment],
    ["clock", compareClocks],
    ["key", checkKey],
    ["ssh", sshVersion],
    ["rsync", describeRsync],
    ["SSH key", () => ownSshKey().path],
    ["state", () => statePath()],
  ];
  const findings: Finding[] = [];
  for (const [check, poll] of checks) findings.push(await finding(check, poll));
  if (json) outJson(findings);
  if (!json)
    out(
      textRows(
        findings.map(({ check, ok, found }) => [ok ? "ok" : "FAIL", check, found]),
        outputColumns(),
      ),
    );
  if (findings.some(({ ok }) => !ok)) throw new QuietExit(exitCodes.failed);
}

async function finding(check: string, poll: () => Promise<string> | string): Promise<Finding> {
  try {
    return { check, ok: true, found: await poll() };
  } catch (error) {
    return {
      check,
      ok: false,
      found: describeError(error)
        .replace(/^error: /, "")
        .replaceAll("\n", "; "),
    };
  }
}

function proxy(): string {
  const { HTTPS_PROXY, https_proxy: lower, NODE_USE_ENV_PROXY } = process.env;
  const address = HTTPS_PROXY ?? lower;
  if (address === undefined) return "none";
  if (NODE_USE_ENV_PROXY === "1") return "used";
  throw new CliError("HTTPS_PROXY is set, but Node does not use it", exitCodes.failed, "Set NODE_USE_ENV_PROXY=1");
}

async function reachDeployment(): Promise<string> {
  const berth = await connect();
  const found = await berth.discover();
  if (isOlder(version, found.min_client_version)) {
    throw new CliError(
      `${berth.url} serves clients from ${printable(found.min_client_version)} on, and this is ${version}`,
      exitCodes.failed,
      "Install the newer one",
    );
  }
  return told`${berth.url}, version ${found.version}`;
}

const mostSkewMs = 60_000;

/** AWS refuses signatures that are more than 5 minutes off. */
async function compareClocks(): Promise<string> {
  const { timestamp } = await (await connect()).availability();
  const skewMs = Math.abs(Date.now() - Date.parse(timestamp));
  if (Number.isNaN(skewMs)) throw new TypeError("a field is missing");
  if (skewMs < mostSkewMs) return "agrees with the deployment's";
  throw new CliError(
    `This clock is ${Math.round(skewMs / 1000)} s off`,
    exitCodes.failed,
    "Set the clock, best by NTP",
  );
}

async function checkKey(): Promise<string> {
  const { username, key } = await (await connect()).me();
  return told`of ${username}, until ${key.expires_at}`;
}

function sshVersion(): string {
  const { error, stderr } = spawnSync("ssh", ["-V"], { encoding: "utf8" });
  if (!error) return stderr.trim();
  const hint = "Install OpenSSH's client, for example with: apt install openssh-client";
  throw new CliError("There is no ssh on the PATH", exitCodes.failed, hint);
}
