import { findAccessEntries } from "#aws/cluster-check/answers.ts";
import type { Environment } from "../../stacks/plan/aws-client.ts";
import { askEks } from "../../stacks/plan/new-cluster/ask-account.ts";
import { type Existing, isWorking } from "../../stacks/plan/new-cluster/existing-cluster.ts";
import type { Stage } from "../../stacks/stage.ts";
import type { RemovalStep } from "./removal-step.ts";

const MOST_MS = 30_000;

/** Finds other stages on the cluster. Their functions have access entries, also while they run no job. */
export async function findOtherStages(
  { name, eksCluster }: Stage,
  existing: Existing,
  environment: Environment,
): Promise<RemovalStep> {
  const what = "other stages on the cluster";
  const todo = "Remove each before this one: npm run remove -- --stage <stage>";
  if ("refusal" in existing) return { what, left: existing, todo };
  if (!existing.value || !isWorking(existing.value)) return { what, left: { value: [] }, todo };
  const left = await askEks(environment, async (eks) => {
    const isOfStage = (roleName: string) => roleName !== "";
    const entries = await findAccessEntries(eks, eksCluster, isOfStage, AbortSignal.timeout(MOST_MS));
    const stages = entries.flatMap(({ tags = {} }) => (tags["sst:app"] === "berth" ? (tags["sst:stage"] ?? []) : []));
    return [...new Set(stages)].filter((stage) => stage !== name);
  });
  return { what, left, todo };
}
