import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { identity } from "#aws/sts/identity.ts";
import { login } from "#core/users/login.ts";
import { countLogin } from "#core/users/login-count.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { hasRequest, LoginBody, parseCredentials } from "./internal/credentials.ts";
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

const issued = {
  api_key: "zHfR3kQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu0123",
  key_prefix: "zHfR3kQ9",
  user_id: 42,
  username: "jschmidt",
  aws_arn: "arn:aws:sts::308535385114:assumed-role/SSOCloudDevGpuReservation/jschmidt",
  expires_at: "2026-01-20T20:00:00Z",
  ttl_hours: 2,
};

const route = createRoute({
  method: "post",
  path: "/v1/auth/aws-login",
  operationId: "login",
  tags: ["Login"],
  summary: "Exchange an AWS identity for a short-lived API key",
  description:
    "Takes AWS credentials, or a GetCallerIdentity request signed with them, and asks STS whose they are. On a local " +
    "stack `npm run --silent env` does this for you.",
  request: {
    body: jsonBody(LoginBody, {
      "AWS credentials": {
        aws_access_key_id: "ASIAQ3EGTSOZEXAMPLE0",
        aws_secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        aws_session_token: `IQoJb3JpZ2luX2VjEXAMPLE${"0".repeat(80)}`,
      },
      "A signed request": {
        iam_request_method: "POST",
        iam_request_url: "https://sts.us-east-1.amazonaws.com/",
        iam_request_headers: {
          host: "sts.us-east-1.amazonaws.com",
          "x-amz-date": "20260120T183000Z",
          "x-berth-server-id": "berth-local",
          authorization:
            "AWS4-HMAC-SHA256 Credential=ASIAQ3EGTSOZEXAMPLE0/20260120/us-east-1/sts/aws4_request, " +
            "SignedHeaders=host;x-amz-date;x-berth-server-id, Signature=0123456789abcdef",
        },
        iam_request_body: "Action=GetCallerIdentity&Version=2011-06-15",
      },
    }),
  },
  responses: {
    200: jsonReply(LoggedIn, {
      "A key for two hours": issued,
      [AS_PRINTED]: { ...issued, api_key: "zHfR3k...", key_prefix: "zHfR3k" },
    }),
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
