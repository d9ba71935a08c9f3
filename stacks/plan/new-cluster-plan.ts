import { KUBERNETES_VERSION, type NewCluster } from "../cluster/settings.ts";
import type { Stage } from "../stage.ts";
import type { Prices } from "./costs.ts";
import { countNats, listCountedQuotas } from "./counted-quotas.ts";
import { type Bought, findDiskNeed, findVcpuNeeds, listMachines, type Machines } from "./planned-machines.ts";
import type { QuotaNeed } from "./quota-check.ts";

/** US dollars an hour. */
export interface HourPrices {
  readonly controlPlane: number;
  /** A NAT gateway. A GB through it costs as much. */
  readonly nat: number;
  readonly publicAddress: number;
  /** A GB of a gp3 volume with the throughput that is included, a month. */
  readonly diskGbMonth: number;
  /** On demand, by instance type. */
  readonly machines: Readonly<Record<string, number>>;
}

/** Returns what a stage's own cluster costs by the hour, by which setting, and the quotas that it needs. */
export function newClusterLines(
  stage: Stage,
  wanted: NewCluster,
  { hours: prices, prices: units, region: listed, date }: Pick<Prices, "hours" | "prices" | "region" | "date">,
): string[] {
  const machines = listMachines(wanted);
  // All zones are in the stage's region.
  const region = wanted.zones[0]?.slice(0, -1);
  const differ = region === listed ? "" : `, which differ in ${region}`;
  return [
    `EKS_CLUSTER=new: this stage makes the cluster ${stage.eksCluster} with Kubernetes ${KUBERNETES_VERSION}. An hour of it`,
    `by the list prices of ${listed} on ${date}${differ}:`,
    costLine(prices.controlPlane, prices.controlPlane, "the control plane"),
    // EKS User Guide, "Send control plane logs to CloudWatch Logs".
    `  ${"by use".padStart(WIDTH)}  its audit and authenticator logs, at $${units.logGb.usd} for each GB`,
    ...natLines(stage, wanted, prices),
    ...machines.flatMap((each) => [machineLine(each, prices), diskLine(each, prices)]),
    ...unpricedLines(machines, prices),
    ...(machines.some(({ bought }) => bought === "spot") ? spotLines : []),
    "The least is paid also while no job runs.",
    ...(wanted.isProtected
      ? ["EKS_PROTECT: neither a deployment nor `sst remove` removes the cluster or a group of it."]
      : []),
    "",
    "Quotas of the region for it, which AWS takes days to raise. What yours are, with a service and a code of these:",
    `  aws service-quotas get-service-quota --region ${region} --service-code <service> --quota-code <code>`,
    ...[...findVcpuNeeds(wanted), findDiskNeed(wanted)].map((need) =>
      quotaLine(`${need.least} ${need.unit} or more`, need.name, need),
    ),
    ...listCountedQuotas(stage, wanted).map((each) =>
      quotaLine(`${each.amount} more`, `${each.name}, of ${each.usual}`, each),
    ),
  ];
}

function machineLine({ what, type, least, most, bought }: Machines, { machines }: HourPrices): string {
  const usd = isPriced(bought) ? machines[type] : undefined;
  const subject = `${what}: ${least} to ${most} × ${type}${bought === "spot" ? " of Spot" : ""}`;
  if (usd !== undefined) return costLine(least * usd, most * usd, subject);
  return `  ${notKnown[bought].padStart(WIDTH)}  ${subject}`;
}

/** EC2 User Guide, "Spot Instances": without a maximum price of one's own, which no group has. */
const spotLines = [
  "Spot machines are counted at the on-demand price, which they never exceed. They usually cost much less: the present",
  "prices of your zones are at https://aws.amazon.com/ec2/spot/pricing/",
];

function isPriced(bought: Bought): boolean {
  return bought === "on demand" || bought === "spot";
}

/** AWS's price lists count a month as 730 hours. */
const HOURS_OF_MONTH = 730;

/** The disk exists as long as its machine. */
function diskLine({ least, most, diskGb }: Machines, { diskGbMonth }: HourPrices): string {
  const usd = (diskGb * diskGbMonth) / HOURS_OF_MONTH;
  const subject = `  a disk of ${diskGb} GB for each (gp3), at $${diskGbMonth} for each GB a month`;
  return costLine(least * usd, most * usd, subject);
}

const notKnown: Readonly<Record<Bought, string>> = {
  "on demand": "no price listed",
  spot: "no price listed",
  reservation: "as reserved",
  "capacity block": "paid before",
};

/** prices.json says why. */
function unpricedLines(machines: readonly Machines[], prices: HourPrices): string[] {
  const unpriced = machines.filter(({ type, bought }) => isPriced(bought) && prices.machines[type] === undefined);
  if (unpriced.length === 0) return [];
  const types = [...new Set(unpriced.map(({ type }) => type))].join(", ");
  return [`For ${types}, no on-demand price is listed here: https://aws.amazon.com/ec2/pricing/on-demand/ has it.`];
}

const WIDTH = 18;

function costLine(least: number, most: number, subject: string): string {
  const dollars = (usd: number) =>
    `$${usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 3 })}`;
  const text = least === most ? dollars(least) : `${dollars(least)} to ${dollars(most)}`;
  return `  ${text.padStart(WIDTH)}  ${subject}`;
}

/** Each NAT gateway has a public IPv4 address, which costs as well. */
function natLines(stage: Stage, wanted: NewCluster, { nat, publicAddress }: HourPrices): string[] {
  const count = countNats(stage, wanted);
  if (count === 0) return ["  VPC_SUBNETS: your network's own NAT and endpoints, which the stage does not make"];
  const usd = count * (nat + publicAddress);
  return [costLine(usd, usd, `${count} NAT gateway${count > 1 ? "s" : ""} (EKS_ZONES), and $${nat} for each GB`)];
}

function quotaLine(amount: string, name: string, { service, code }: Pick<QuotaNeed, "service" | "code">): string {
  return `  ${amount.padStart(WIDTH)}  ${name} (${service}${code === undefined ? ", see its console" : ` ${code}`})`;
}
