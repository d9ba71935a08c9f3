import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { lacks } from "../fixture.ts";
import { allowed, type LinkLocalOutcome, linkLocal } from "./link-local-fixture.ts";

/** A plain user needs root of a user namespace to create a network, but the stack must not run as that root. */
const [asRoot, asItself] =
  process.getuid?.() === 0
    ? ["unshare --net", ""]
    : ["unshare --user --map-current-user --keep-caps --net", "setpriv --ambient-caps=-all --inh-caps=-all --"];

/** Do not change the machine's own addresses, which all its users share. */
const addresses = [linkLocal, allowed].map((address) => `ip address add ${address}/32 dev lo`);

function runInNetwork(...words: readonly string[]) {
  const line = `ip link set lo up && ${addresses.join(" && ")} && exec ${asItself} "$@"`;
  const [program = "", ...rest] = [...asRoot.split(" "), "sh", "-c", line, "sh", ...words];
  return spawnSync(program, rest, { encoding: "utf8" });
}

it("keeps a command from the link-local address of cloud credentials", {
  retry: 0,
}, ({ skip }) => {
  const lacking = lacks("own");
  if (lacking) skip(lacking);
  const made = runInNetwork("true");
  if (made.status !== 0) skip(`no network with such an address can be made here: ${made.stderr ?? made.error}`);

  const { stdout, stderr } = runInNetwork(process.execPath, join(import.meta.dirname, "link-local-fixture.ts"));

  expect(stderr).toBe("");
  const { got, came } = JSON.parse(stdout) as LinkLocalOutcome;
  expect(Object.keys(got)).toEqual(["by its routes", "past its routes"]);
  for (const each of Object.values(got)) expect(each).toMatchObject({ isHeld: true });
  // The two controls and this program came, so the listener worked and saw no other visitor.
  expect(came).toEqual([allowed, allowed, linkLocal]);
});
