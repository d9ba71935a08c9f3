import { EC2Client } from "@aws-sdk/client-ec2";
import { EKSClient } from "@aws-sdk/client-eks";
import type { Answer } from "../../../packages/aws/cluster-check/answers.ts";
import { type AwsClient, type ClientOptions, type Environment, findClientOfAccount } from "../aws-client.ts";

/** Returns what EC2 answers in the stage's account, or why it gives no answer. */
export function askEc2<T>(environment: Environment, ask: (ec2: EC2Client) => Promise<T>): Promise<Answer<T>> {
  return askAccount("EC2", environment, (options) => new EC2Client(options), ask);
}

/** Returns what EKS answers in the stage's account, or why it gives no answer. */
export function askEks<T>(environment: Environment, ask: (eks: EKSClient) => Promise<T>): Promise<Answer<T>> {
  return askAccount("EKS", environment, (options) => new EKSClient(options), ask);
}

/** Returns what a service answers in the stage's account, or why it gives no answer. */
export async function askAccount<Client extends AwsClient, T>(
  service: string,
  environment: Environment,
  open: (options: ClientOptions) => Client,
  ask: (client: Client) => Promise<T>,
): Promise<Answer<T>> {
  const client = await findClientOfAccount(environment, open);
  if (typeof client === "string") return { refusal: client };
  try {
    return { value: await ask(client) };
  } catch (error) {
    return { refusal: `${service} gave no answer (${error instanceof Error ? error.name : error})` };
  } finally {
    client.destroy();
  }
}
