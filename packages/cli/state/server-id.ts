import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { openClient } from "../login/client.ts";
import { isLoopback } from "../stack/local-stack.ts";
import { confirm, isInteractive, say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { readProfiles } from "./profiles.ts";

/**
 * Returns the server id that a login to this address may sign. A deployment that claims the id of another one could
 * pass the signed request on to it, so an id is trusted by the user once, and by the profile from then on.
 */
export async function trustedServerId(url: string, givenId?: string): Promise<string> {
  const { login } = await openClient({ url }).discover();
  const claimed = login.server_id;
  if (!/^[\w.:-]{1,128}$/.test(claimed)) {
    throw new CliError(`${url} sent an invalid server id: ${printable(claimed)}`, exitCodes.failed, doctorHint);
  }
  refuseBorrowed(url, claimed);
  const knownId = givenId ?? readProfiles().profiles[url]?.serverId;
  if (knownId !== undefined) refuseOther(url, knownId, claimed, givenId !== undefined);
  if (knownId === undefined && !isLoopback(url)) await confirmFirst(url, claimed);
  return claimed;
}

function refuseBorrowed(url: string, claimed: string): void {
  const { profiles } = readProfiles();
  const [owner] =
    Object.entries(profiles).find(([otherUrl, { serverId }]) => {
      return otherUrl !== url && serverId === claimed && !isLoopback(otherUrl);
    }) ?? [];
  if (owner === undefined) return;
  throw new CliError(
    `${url} says that it is '${claimed}', which is the deployment at ${owner}, so no login is sent`,
    exitCodes.loginNeeded,
    `If it moved: berth logout ${owner}, and log in again`,
  );
}

function refuseOther(url: string, knownId: string, claimed: string, isGiven: boolean): void {
  if (knownId === claimed) return;
  const words = isGiven ? "not" : "and at your last login it was";
  throw new CliError(
    `${url} says that it is '${claimed}', ${words} '${printable(knownId)}', so no login is sent`,
    exitCodes.loginNeeded,
    "Ask the operators for its id, and then give it with --server-id",
  );
}

async function confirmFirst(url: string, claimed: string): Promise<void> {
  if (!isInteractive()) {
    throw new CliError(
      `You log in to ${url} for the first time, and only a terminal can ask whether it is '${claimed}'`,
      exitCodes.usage,
      `If it is: berth login ${url} --server-id ${claimed}`,
    );
  }
  say(`You log in to ${url} for the first time. It says that it is the deployment '${claimed}'.`);
  if (!(await confirm("Is that what its operators told you?")))
    throw new CliError("Nothing was sent", exitCodes.failed, "Ask the operators for the id, and give --server-id");
}
