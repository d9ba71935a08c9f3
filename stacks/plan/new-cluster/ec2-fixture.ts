import { onTestFinished } from "vitest";
import { formatXml } from "#tests/aws/ec2-query.ts";
import { fakeKey, startFakeService } from "#tests/aws/fake-service.ts";

/** Starts an EC2 whose zones offer these machine types. Returns the environment of its clients. */
export async function startOfferings(offered: Readonly<Record<string, readonly string[]>>) {
  const ec2 = await startFakeService(
    "ec2",
    (code) => ({ status: 403, body: code }),
    ({ body }) => {
      const asked = [...new URLSearchParams(Buffer.from(body).toString())]
        .filter(([name]) => name.startsWith("Filter.1.Value."))
        .map(([, type]) => type);
      const instanceTypeOfferingSet = asked.flatMap((instanceType) =>
        (offered[instanceType] ?? []).map((location) => ({
          instanceType,
          locationType: "availability-zone",
          location,
        })),
      );
      return { status: 200, body: formatXml("DescribeInstanceTypeOfferingsResponse", { instanceTypeOfferingSet }) };
    },
  );
  onTestFinished(ec2.stop);
  return {
    AWS_ENDPOINT_URL_EC2: ec2.endpoint,
    AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
    AWS_SESSION_TOKEN: fakeKey.sessionToken ?? "",
  };
}
