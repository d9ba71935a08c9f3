import type { InterruptionKind } from "#core/ports/compute.ts";

interface NoticeRule {
  readonly name: string;
  readonly kind: InterruptionKind;
  readonly detailType: string;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-interruptions.html and rebalance-recommendations.html. */
const notices: readonly NoticeRule[] = [
  { name: "SpotInterruptions", kind: "spot", detailType: "EC2 Spot Instance Interruption Warning" },
  { name: "SpotRebalances", kind: "rebalance", detailType: "EC2 Instance Rebalance Recommendation" },
];

/** A late notice helps no job. EventBridge retries for a day by default. */
const OLDEST_NOTICE_SECONDS = 300;

/**
 * Sends EC2's notices about Spot machines of this account and region to the queue of reconciles, as a message of its
 * consumer (packages/http/work.ts). EC2 reports the machines of others in the account too: the consumer ignores those.
 */
export function sendMachineNotices(queue: sst.aws.Queue): void {
  const [account, region] = [aws.getCallerIdentityOutput().accountId, aws.getRegionOutput().name];
  const rules = notices.map(({ name, kind, detailType }) => {
    const rule = new aws.cloudwatch.EventRule(name, {
      description: `Sends "${detailType}" to Berth`,
      // Another account may forward its events to this bus, if the bus allows that.
      eventPattern: $util.jsonStringify({
        source: ["aws.ec2"],
        "detail-type": [detailType],
        account: [account],
        region: [region],
      }),
    });
    new aws.cloudwatch.EventTarget(name, {
      rule: rule.name,
      arn: queue.arn,
      inputTransformer: {
        inputPaths: { machine: "$.detail.instance-id", time: "$.time" },
        // EventBridge writes each text with its quotes.
        inputTemplate: `{"look":"machine|-","notice":{"kind":"${kind}","machine":<machine>,"time":<time>}}`,
      },
      retryPolicy: { maximumEventAgeInSeconds: OLDEST_NOTICE_SECONDS, maximumRetryAttempts: 10 },
    });
    return rule;
  });
  new aws.sqs.QueuePolicy("WorkNotices", {
    queueUrl: queue.url,
    policy: $util.jsonStringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "MachineNotices",
          Effect: "Allow",
          Principal: { Service: "events.amazonaws.com" },
          Action: "sqs:SendMessage",
          Resource: queue.arn,
          Condition: { ArnEquals: { "aws:SourceArn": rules.map(({ arn }) => arn) } },
        },
      ],
    }),
  });
}
