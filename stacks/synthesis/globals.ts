import * as aws from "@pulumi/aws";
import * as sst from "../../.sst/platform/src/components/index.ts";

/** What SST makes global before it runs sst.config.ts. A module of its own, since it has to come before that. */
Object.assign(globalThis, { aws, sst });
