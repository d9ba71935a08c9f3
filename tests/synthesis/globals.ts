import * as aws from "@pulumi/aws";
import * as sst from "../../.sst/platform/src/components/index.ts";

/** Sets the globals that SST sets before it runs sst.config.ts. It is a separate module, because it must run first. */
Object.assign(globalThis, { aws, sst });
