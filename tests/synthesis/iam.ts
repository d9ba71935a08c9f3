/** Calls an IAM on this machine (Query API of 2010-05-08). Returns why IAM refused the call, or undefined. */
export async function refusalOfIam(
  endpoint: string,
  fields: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const response = await fetch(endpoint, {
    method: "POST",
    // moto reads only the service's name.
    headers: { authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request" },
    body: new URLSearchParams({ Version: "2010-05-08", ...fields }),
  });
  const text = await response.text();
  return response.ok ? undefined : (/<Message>([^<]*)/.exec(text)?.[1] ?? `${response.status}`);
}
