import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { identity } from "#aws/sts/identity.ts";
import { login } from "#core/users/login.ts";
import { countLogin } from "#core/users/login-count.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { hasRequest, LoginBody, parseCredentials } from "./internal/credentials.ts";
import { awsLoginExamples } from "./internal/examples.ts";
import { parseSignedRequest } from "./internal/signed-request.ts";

const LoggedIn = z
  .object({
    api_key: z.string().describe("The API key. It is shown only in this answer."),
    key_prefix: z.string().describe("The first 8 characters of the API key, which name it in lists and logs."),
    user_id: z.int().describe("Your user number."),
    username: z.string().describe("Your user name, taken from the session name of the AWS identity."),
    aws_arn: z.string().describe("The AWS identity that STS reported."),
    expires_at: Timestamp.describe("When the API key expires."),
    ttl_hours: z.int().describe("Lifetime of the API key in hours."),
  })
  .meta({ id: "LoggedIn" });

const route = createRoute({
  method: "post",
  path: "/v1/auth/aws-login",
  operationId: "login",
  tags: ["Login"],
  summary: "Exchange an AWS identity for a short-lived API key",
  description:
    "Takes AWS credentials, or a GetCallerIdentity request signed with them, and asks STS whose they are. On a local " +
    "stack `npm run --silent env` does this for you.",
  request: { body: jsonBody(LoginBody, awsLoginExamples.requests) },
  responses: {
    200: jsonReply(LoggedIn, awsLoginExamples[200]),
    401: problemReply("STS does not know the credentials, or the signature is not good"),
    403: problemReply("The role or the account is not allowed, or the user is disabled"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue", "identity"], public: true, timeoutSeconds: 20 },
  async ({ ctx, body, viewer }) => {
    if (viewer !== undefined) await countLogin(ctx, viewer);
    const proof = hasRequest(body) ? parseSignedRequest(ctx, body) : parseCredentials(body);
    const { user, arn, key } = await login(ctx, proof);
    return {
      api_key: key.secret,
      key_prefix: key.prefix,
      user_id: user.number,
      username: user.username,
      aws_arn: arn,
      expires_at: wholeSeconds(key.expiresAt),
      ttl_hours: key.ttlHours,
    };
  },
);

export const handler = lambda(endpoint, { table, queue, identity });
