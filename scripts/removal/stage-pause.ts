import { DynamoDBClient, ResourceNotFoundException } from "@aws-sdk/client-dynamodb";
import { dynamoTable } from "#aws/dynamodb/table.ts";
import { admissionKey } from "#core/store/keys.ts";
import type { Environment } from "../../stacks/plan/aws-client.ts";
import { askAccount } from "../../stacks/plan/new-cluster/ask-account.ts";
import type { Stage } from "../../stacks/stage.ts";

/**
 * Says whether a job may start until the removal. A stage that is not paused can be removed too: without operators it
 * cannot be paused, and a failed first deployment may have no API.
 */
export async function describePause({ name, tableName }: Stage, environment: Environment): Promise<string> {
  const open = (options: object) => new DynamoDBClient(options);
  const answer = await askAccount("DynamoDB", environment, open, async (client) => {
    const region = await client.config.region();
    return { region, isPaused: await findPause(client, tableName) };
  });
  if ("refusal" in answer) return `Whether stage ${name} is paused is not known: ${answer.refusal}.`;
  const { region, isPaused } = answer.value;
  if (isPaused) return `Stage ${name} is paused, so no job starts.`;
  if (isPaused === false)
    return `Stage ${name} is not paused, so a job may start until its removal: npx berth admin pause`;
  return (
    `There is no table ${tableName} in ${region}: a removal has deleted it, the stage was never deployed, or AWS_REGION or ` +
    "your AWS identity is not the stage's."
  );
}

/** Returns undefined if there is no table. */
async function findPause(client: DynamoDBClient, tableName: string): Promise<boolean | undefined> {
  try {
    const admission = await dynamoTable({ client, tableName }).get(admissionKey);
    return admission?.paused === true;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}
