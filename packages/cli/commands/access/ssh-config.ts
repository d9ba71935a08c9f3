import { connect } from "../../login/connect.ts";
import { includeHosts, ownHosts, removeHosts } from "../../ssh/ssh-config.ts";
import { hostAlias, writeHosts } from "../../ssh/ssh-hosts.ts";
import { interruptSignal, out, say } from "../../terminal/terminal.ts";

/** Registers the active jobs with ssh and editors as `berth-NAME`. A second call rewrites the entries. */
export async function turnOn(): Promise<void> {
  const jobs = await writeHosts(await connect(), interruptSignal());
  await includeHosts();
  for (const host of ownHosts(jobs))
    say(`note: ~/.ssh/config has a Host ${host} too. The entry of the job comes first.`);
  if (jobs.length === 0) say("You have no active jobs. berth up adds entries, and berth end removes them.");
  out(jobs.map((job) => `${hostAlias(job)}\n`).join(""));
}

/** Takes the entries and the line in ~/.ssh/config away. */
export async function turnOff(): Promise<void> {
  await removeHosts();
  say("ssh knows no jobs any more.");
}
