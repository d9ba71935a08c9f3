import type { Berth } from "../sdk/berth.ts";
import type { SubmitJob } from "../sdk/jobs.ts";
import { rememberKey } from "./job-entries.ts";
import { ownSshKey } from "./ssh-key.ts";

/** Submits a job that this machine's own SSH key may enter. */
export async function submitJob(berth: Berth, request: SubmitJob) {
  const { publicKey } = ownSshKey();
  const submitted = await berth.jobs.submit({ ...request, ssh_public_keys: [publicKey] });
  rememberKey(submitted, publicKey);
  return submitted;
}
