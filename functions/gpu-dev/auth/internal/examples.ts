import { AS_PRINTED } from "#http/route.ts";

const issued = {
  api_key: "zHfR3kQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu0123",
  key_prefix: "zHfR3kQ9",
  user_id: 42,
  username: "jschmidt",
  aws_arn: "arn:aws:sts::308535385114:assumed-role/SSOCloudDevGpuReservation/jschmidt",
  expires_at: "2026-01-20T20:00:00Z",
  ttl_hours: 2,
};

export const awsLoginExamples = {
  requests: {
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
  },
  200: {
    "A key for two hours": issued,
    [AS_PRINTED]: { ...issued, api_key: "zHfR3k...", key_prefix: "zHfR3k" },
  },
};
