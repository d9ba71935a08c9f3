import { onTestFinished } from "vitest";
import { formatXml } from "#tests/aws/ec2-query.ts";
import { fakeKeyVariables, startFakeService } from "#tests/aws/fake-service.ts";

/** The content of an answer by the name of the call. EC2 refuses any other call. */
type Answers = Readonly<Record<string, (parameters: URLSearchParams) => object>>;

/** Starts an EC2 with these answers. Returns the environment of its clients. */
export async function startEc2(answers: Answers) {
  const ec2 = await startFakeService(
    "ec2",
    (code) => ({ status: 403, body: code }),
    ({ body }) => {
      const parameters = new URLSearchParams(Buffer.from(body).toString());
      const action = parameters.get("Action") ?? "";
      const answer = answers[action];
      if (!answer) return { status: 403, body: formatXml("Response", { Errors: [] }) };
      return { status: 200, body: formatXml(`${action}Response`, answer(parameters)) };
    },
  );
  onTestFinished(ec2.stop);
  return { AWS_ENDPOINT_URL_EC2: ec2.endpoint, ...fakeKeyVariables };
}

/** Answers as an EC2 whose zones offer these machine types. */
export function answerOfferings(offered: Readonly<Record<string, readonly string[]>>): Answers {
  const locationType = "availability-zone";
  return {
    DescribeInstanceTypeOfferings: (parameters) => ({
      instanceTypeOfferingSet: [...parameters]
        .filter(([name]) => name.startsWith("Filter.1.Value."))
        .flatMap(([, instanceType]) =>
          (offered[instanceType] ?? []).map((location) => ({ instanceType, locationType, location })),
        ),
    }),
  };
}
