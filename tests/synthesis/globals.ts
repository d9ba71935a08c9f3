import * as aws from "@pulumi/aws";
import * as sst from "../../.sst/platform/src/components/index.ts";

/** Sets the globals that sst.config.ts expects. Import this module first. */
Object.assign(globalThis, { aws, sst });
