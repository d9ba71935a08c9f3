import { onTestFinished } from "vitest";
import { startFakeService } from "#tests/aws/fake-service.ts";

/** Starts an STS for which all credentials are of this account. Returns the environment of its clients. */
export async function startSts(account: string) {
  const sts = await startFakeService(
    "sts",
    (code) => ({ status: 403, body: code }),
    () => {
      const result = `<GetCallerIdentityResult><Account>${account}</Account></GetCallerIdentityResult>`;
      return { status: 200, body: `<GetCallerIdentityResponse>${result}</GetCallerIdentityResponse>` };
    },
  );
  onTestFinished(sts.stop);
  return { AWS_ENDPOINT_URL_STS: sts.endpoint };
}
