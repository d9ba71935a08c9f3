import { type Check, different, differentInOrder, ofType } from "./checks.ts";
import { ACCOUNT, REGION } from "./cloud.ts";
import type { Resource } from "./synthesize.ts";

const machine = "i-0123456789abcdef0";
/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html */
const spot = {
  version: "0",
  id: "12345678-1234-1234-1234-123456789012",
  "detail-type": "EC2 Spot Instance Interruption Warning",
  source: "aws.ec2",
  account: ACCOUNT,
  time: "2026-01-20T18:30:00Z",
  region: REGION,
  resources: [`arn:aws:ec2:us-east-1a:instance/${machine}`],
  detail: { "instance-id": machine, "instance-action": "terminate" },
};
const rebalance = {
  ...spot,
  "detail-type": "EC2 Instance Rebalance Recommendation",
  detail: { "instance-id": machine },
};
const foreign: Readonly<Record<string, Event>> = {
  "another account's": { ...spot, account: "111111111111" },
  "another region's": { ...spot, region: "eu-west-1" },
  "a program's": { ...spot, source: "example.ec2" },
  "a state's": { ...spot, "detail-type": "EC2 Instance State-change Notification" },
};

type Event = Readonly<Record<string, unknown>>;

export const noticeChecks = {
  machineNotices(resources) {
    const message = (kind: string) => ({ look: "machine|-", notice: { kind, machine, time: spot.time } });
    const [policy, ...others] = ofType(resources, "aws:sqs/queuePolicy:QueuePolicy");
    const rules = ofType(resources, "aws:cloudwatch/eventRule:EventRule");
    const [statement, ...more] = JSON.parse(policy?.inputs.policy ?? '{"Statement":[]}').Statement;
    return [
      ...differentInOrder("the message of an interruption", deliver(spot, resources), [
        JSON.stringify(message("spot")),
      ]),
      ...differentInOrder("the message of a rebalance", deliver(rebalance, resources), [
        JSON.stringify(message("rebalance")),
      ]),
      ...Object.entries(foreign).flatMap(([name, event]) =>
        deliver(event, resources).map(() => `${name} event is sent to Berth`),
      ),
      ...(isWork(policy?.inputs.queueUrl) && others.length + more.length === 0 ? [] : ["the queue has another policy"]),
      ...differentInOrder(
        "who may send",
        [statement?.Effect, statement?.Action, statement?.Principal?.Service],
        ["Allow", "sqs:SendMessage", "events.amazonaws.com"],
      ),
      ...(isWork(statement?.Resource) ? [] : ["EventBridge may not send to the queue"]),
      ...different(
        "rules that may send",
        [statement?.Condition?.ArnEquals?.["aws:SourceArn"]].flat(),
        rules.map(({ inputs, name }) => `arn:aws:events:${REGION}:${ACCOUNT}:rule/${inputs.name ?? name}`),
      ),
      ...ofType(resources, targetType)
        .filter(({ inputs }) => !(inputs.retryPolicy?.maximumEventAgeInSeconds <= 300))
        .map(({ name }) => `${name} sends notices that are too late`),
    ];
  },
} as const satisfies Record<string, Check>;

const targetType = "aws:cloudwatch/eventTarget:EventTarget";

/** Returns the messages that EventBridge sends to the queue of reconciles for this event. */
function deliver(event: Event, resources: readonly Resource[]): string[] {
  const matching = ofType(resources, "aws:cloudwatch/eventRule:EventRule").filter(({ inputs }) =>
    Object.entries<readonly unknown[]>(JSON.parse(inputs.eventPattern)).every(([field, values]) =>
      values.includes(event[field]),
    ),
  );
  const names = matching.map(({ inputs, name }) => inputs.name ?? name);
  return ofType(resources, targetType)
    .filter(({ inputs }) => names.includes(inputs.rule) && isWork(inputs.arn))
    .map(({ inputs }) => JSON.stringify(JSON.parse(render(inputs.inputTransformer, event))));
}

/** Fills in the template (EventBridge User Guide, "Input transformation"): each text comes with its quotes. */
function render({ inputPaths, inputTemplate }: Resource["inputs"], event: Event): string {
  return inputTemplate.replace(/<(\w+)>/g, (_: string, name: string) => {
    const fields: readonly string[] = inputPaths[name].split(".").slice(1);
    return JSON.stringify(fields.reduce<unknown>((value, field) => (value as Event)[field], event));
  });
}

function isWork(queue: unknown): boolean {
  return /[:/][^:/]*WorkQueue-[a-z]+$/.test(String(queue));
}
