import { connect } from "../../login/connect.ts";
import { includeHosts, ownHosts, removeHosts } from "../../ssh/ssh-config.ts";
import { hostAlias, ownFile, writeHosts } from "../../ssh/ssh-hosts.ts";
import { interruptSignal, out, outJson, say } from "../../terminal/terminal.ts";

interface JsonFlags {
  readonly json: boolean;
}

/** Registers the active jobs with ssh and editors as `berth-NAME`. A second call rewrites the entries. */
export async function turnOn({ json }: JsonFlags): Promise<void> {
  const jobs = await writeHosts(await connect(), interruptSignal());
  await includeHosts();
  for (const host of ownHosts(jobs))
    say(`note: ~/.ssh/config has a Host ${host} too. The entry of the job comes first.`);
  if (jobs.length === 0) say("You have no active jobs. berth up adds entries, and berth end removes them.");
  const hosts = jobs.map(hostAlias);
  if (json) return outJson({ path: ownFile(), hosts });
  out(hosts.map((host) => `${host}\n`).join(""));
}

/** Takes the entries and the line in ~/.ssh/config away. */
export async function turnOff({ json }: JsonFlags): Promise<void> {
  await removeHosts();
  if (json) outJson({ path: ownFile(), hosts: [] });
  say("ssh knows no jobs any more.");
}
