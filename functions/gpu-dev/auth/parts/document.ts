import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";

const issued = {
  api_key: "zHfR3kQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu0123",
  key_prefix: "zHfR3kQ9",
  user_id: 42,
  username: "jschmidt",
  aws_arn: "arn:aws:sts::308535385114:assumed-role/SSOCloudDevGpuReservation/jschmidt",
  expires_at: "2026-01-20T20:00:00Z",
  ttl_hours: 2,
};

export const document: NounDocument = {
  tag: "Login",
  fields: {
    aws_access_key_id:
      "The access key id of your AWS credentials. Send credentials, or a signed request (`iam_request_…`).",
    aws_secret_access_key:
      "The secret access key. Berth keeps it in memory until STS has answered, and stores it nowhere.",
    aws_session_token: "The session token of temporary credentials. An empty text counts as none.",
    iam_request_url:
      "The URL of a GetCallerIdentity request that you signed yourself. With this form your secret stays with you.",
    iam_request_headers:
      "All headers of the signed request. The signature must cover `host`, `x-amz-date` and `x-berth-server-id`.",
    iam_request_body:
      "The body of the signed POST request; `Action=GetCallerIdentity&Version=2011-06-15` is assumed without it.",
    iam_request_method: "The method of the signed request; `POST` is assumed without it.",
    api_key: "The API key. It is shown only in this answer.",
    key_prefix: "The first 8 characters of the API key, which name it in lists and logs.",
    user_id: "Your user number.",
    username: "Your user name, taken from the session name of the AWS identity.",
    aws_arn: "The AWS identity that STS reported.",
    expires_at: "When the API key expires.",
    ttl_hours: "Lifetime of the API key in hours.",
  },
  operations: {
    "aws-login": {
      id: "login",
      description:
        "Takes AWS credentials, or a GetCallerIdentity request signed with them, and asks STS whose they are. On a local " +
        "stack `npm run --silent env` does this for you.",
      body: "LoginRequest",
      reply: "LoggedIn",
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
      replies: {
        200: {
          examples: {
            "A key for two hours": issued,
            [AS_PRINTED]: { ...issued, api_key: "zHfR3k...", key_prefix: "zHfR3k" },
          },
        },
      },
      problems: {
        401: "STS does not know the credentials, or the signature is not good",
        403: "The role or the account is not allowed, or the user is disabled",
      },
    },
  },
};
