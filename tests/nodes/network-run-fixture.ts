import { createCgroup } from "./cgroups.ts";
import { newRunName } from "./leftovers.ts";
import { createNetwork } from "./network.ts";
import { findPrograms } from "./programs.ts";

/** Creates the network and the cgroup of a run, prints its name and address, and waits to be killed. */
const run = await newRunName();
const { address } = await createNetwork(run, (await findPrograms(process.env)).pause);
await createCgroup(`${run}/one`);
process.stdout.write(JSON.stringify({ run, address }));
setInterval(() => {}, 1_000_000);
