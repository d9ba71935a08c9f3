import { type Caller, developer, loginBody } from "../worlds/http-world.ts";
import type { DeployedStage } from "./deployed-stage.ts";

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint answers in a shape of its own
  readonly body: any;
}

export type StageClient = (method: string, target: string, sent?: object) => Promise<Answer>;

export function createClient({ request }: DeployedStage, key?: string): StageClient {
  return async (method, target, sent) => {
    const body = sent && Buffer.from(JSON.stringify(sent));
    const headers = {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body && { "content-type": "application/json", "content-length": String(body.byteLength) }),
    };
    const answer = await request({ method, target, headers, body });
    return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) };
  };
}

export async function logIn(stage: DeployedStage, caller: Caller = developer): Promise<string> {
  const { body } = await createClient(stage)("POST", "/v1/auth/aws-login", loginBody(caller));
  return String(body.api_key);
}
