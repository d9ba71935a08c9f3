import type { PlantedBug } from "./plant.ts";
import { backupBugs } from "./planted-backups.ts";
import { capacityBugs } from "./planted-capacity.ts";
import { cliBugs } from "./planted-cli.ts";
import { diskBugs } from "./planted-disks.ts";
import { endBugs } from "./planted-ends.ts";
import { environmentBugs } from "./planted-environments.ts";
import { listingBugs } from "./planted-listings.ts";
import { machineBugs } from "./planted-machines.ts";
import { peopleBugs } from "./planted-people.ts";
import { poolBugs } from "./planted-pools.ts";
import { populationBugs } from "./planted-population.ts";
import { pruneBugs } from "./planted-prunes.ts";
import { reconcileBugs } from "./planted-reconciles.ts";
import { recordBugs } from "./planted-records.ts";
import { restoreBugs } from "./planted-restores.ts";
import { weatherBugs } from "./planted-weather.ts";
import { webBugs } from "./planted-web.ts";

/**
 * The mistakes of docs/architecture/verification.md, and one for each invariant and fault of the simulator. Each must
 * be caught.
 */
export const plantedBugs: readonly PlantedBug[] = [
  // These take longest, so they begin first.
  ...populationBugs,
  ...recordBugs,
  ...environmentBugs,
  ...machineBugs,
  ...poolBugs,
  ...capacityBugs,
  ...listingBugs,
  ...diskBugs,
  ...backupBugs,
  ...restoreBugs,
  ...peopleBugs,
  ...reconcileBugs,
  ...endBugs,
  ...weatherBugs,
  ...cliBugs,
  ...pruneBugs,
  ...webBugs,
];
