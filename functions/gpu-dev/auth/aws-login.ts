import * as z from "zod";
import { identity } from "#aws/identity.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { login } from "#core/users/login.ts";
import { countLogin } from "#core/users/login-count.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { credentialsOf, hasRequest, LoginBody } from "./parts/credentials.ts";
import { signedRequestOf } from "./parts/signed-request.ts";

const LoggedIn = z.object({
  api_key: z.string(),
  key_prefix: z.string(),
  user_id: z.int(),
  username: z.string(),
  aws_arn: z.string(),
  expires_at: Timestamp,
  ttl_hours: z.int(),
});

export const endpoint = gpuDev.post(
  "/v1/auth/aws-login",
  {
    summary: "Exchange an AWS identity for a short-lived API key",
    uses: ["table", "queue", "identity"],
    public: true,
    body: LoginBody,
    reply: LoggedIn,
    timeoutSeconds: 20,
  },
  async ({ ctx, body, viewer }) => {
    if (viewer !== undefined) await countLogin(ctx, viewer);
    const proof = hasRequest(body) ? signedRequestOf(ctx, body) : credentialsOf(body);
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
