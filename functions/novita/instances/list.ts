import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { table } from "#aws/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { novita } from "#http/dialects/novita.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { showInstances } from "./parts/show.ts";
import { Instance } from "./wire.ts";

const ListInstances = z.object({ limit: wholeNumber(1, 500).default(500), offset: wholeNumber(0).default(0) });
const Instances = z.object({ instances: z.array(Instance), total: z.int() });

export const endpoint = novita.get(
  "/api/instances",
  {
    summary: "List your instances, the newest first",
    uses: ["table", "sealer"],
    query: ListInstances,
    reply: Instances,
  },
  async ({ ctx, query: { limit, offset } }) => {
    const { shown, total } = await listEnvironments(ctx, { limit, offset });
    return { instances: await showInstances(ctx, shown), total };
  },
);

export const handler = lambda(endpoint, { table, sealer });
