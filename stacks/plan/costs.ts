import type { FunctionEntry, FunctionsFile } from "../compute/functions-file.ts";
import { runsAllTheTime } from "../compute/triggers.ts";
import type { HourPrices } from "./new-cluster-plan.ts";

export type PriceName =
  | ("lambdaRequest" | "lambdaGbSecond" | "apiRequest" | "cloudFrontRequest" | "cloudFrontFunction" | "wafRequest")
  | ("wafFixed" | "transferGb" | "tableWrite" | "tableRead" | "queueRequest" | "logGb" | "metric" | "alarm")
  | ("dashboard" | "kmsKey" | "kmsRequest" | "socketMessage" | "socketMinute" | "healthCheck" | "storageGb");

export interface Prices {
  readonly date: string;
  readonly region: string;
  readonly prices: Readonly<Record<PriceName, { readonly usd: number; readonly per: number; readonly source: string }>>;
  readonly hours: HourPrices;
  /** Prices of a gateway. They depend on its traffic, which no load of a stage knows. */
  readonly gateway: readonly BesidePrice[];
  /** Prices that do not depend on the load of a stage. */
  readonly beside: readonly BesidePrice[];
}

export interface BesidePrice {
  readonly what: string;
  readonly usd: number;
  readonly unit: string;
  readonly source: string;
  /** Paid only for a gateway that the internet reaches. */
  readonly ofPublic?: boolean;
}

export interface Load {
  readonly requestsPerDay: number;
  readonly activeEnvironments: number;
  readonly jobsPerDay?: number;
}

export interface CostLine {
  readonly what: string;
  readonly price: PriceName;
  readonly amount: number;
  readonly usd: number;
}

/** Assumptions. None was measured on AWS. */
const assumed = {
  /** Duration of a request, mostly waiting for the table. */
  requestSeconds: 0.05,
  requestReads: 3,
  /** Most requests only read; a change writes a record of some KB. */
  requestWrites: 1,
  requestTransferKb: 4,
  requestLogKb: 0.8,
  /** Fraction of requests that use a data key which the function has not yet opened. */
  requestKeyCalls: 0.1,
  /** A reconcile of an environment, with the calls to its cluster. */
  lookSeconds: 0.5,
  lookReads: 5,
  lookLogKb: 0.6,
  lookKeyCalls: 1,
  /** A reconcile that changes a grant requests a plan. Most change nothing. */
  plansPerLook: 0.2,
  planSeconds: 0.3,
  /** Assumed: one write of a record every four minutes. Each of 3 KB counts three times. */
  writesPerHour: 16.25 * 3,
  looksPerHour: 20,
  /**
   * Start and end of one job. 10,000 jobs a day of an hour each were measured with 47 to 83 million write units a
   * month, of which the hours above make 15 million. This is the upper end: (83 - 15) million / 304,000 jobs.
   */
  writesPerJob: 224,
  /**
   * Assumed: one reconcile per step from a job's grant to its removal, and a plan when it arrives, starts and ends.
   */
  looksPerJob: 25,
  plansPerJob: 3,
  /** Fraction of requests with which a browser loads the web console anew: three files of 110 KB, compressed. */
  consoleLoads: 0.002,
  consoleFiles: 3,
  consoleKb: 110,
  /** Files of former deployments stay: a hundred with 720 KB each. */
  consoleStoredGb: 0.07,
  /** Six checkers in three regions, every half minute (canary.ts). */
  canaryPerMinute: 12,
  /** Per hour of an environment: minutes with an open web shell, and commands typed. */
  shellMinutesPerHour: 3,
  commandsPerHour: 3,
  commandSeconds: 5,
  /** Reads of the connection, its key and its workspace. A write of the connection follows. */
  commandReads: 5,
  /** The command and its result, which API Gateway meters per 32 KB. */
  messagesPerCommand: 2.5,
  /** A message is sent, received and deleted. */
  requestsPerMessage: 3,
  /** Duration of a short scheduled call. Endless ones use all of their time. */
  scheduleSeconds: 1,
  scheduleReads: 20,
  /** Lambda polls each queue with five long polls of 20 s ("Using Lambda with Amazon SQS"). */
  pollsPerMinute: 15,
  metrics: 20,
} as const;

const DAYS = 30.4;
const MINUTES = DAYS * 1440;
const KB_PER_GB = 1_048_576;

/** An alarm is billed per metric that it reads. */
export function countAlarmMetrics(inputs: {
  readonly metricQueries?: readonly { readonly metric?: unknown }[];
}): number {
  return inputs.metricQueries?.filter(({ metric }) => metric !== undefined).length ?? 1;
}

export function estimateCosts(
  load: Load,
  functions: FunctionsFile,
  made: Readonly<Record<string, number>>,
  { prices }: Prices,
): CostLine[] {
  const month = getAmounts(load, functions);
  return [...listTimes(month, functions), ...listCalls(month, made), ...listStorage(month, functions, made)].map(
    ([what, price, amount]) => ({ what, price, amount, usd: (amount * prices[price].usd) / prices[price].per }),
  );
}

/** `what`, `price` and `amount` of a line. */
type Amount = readonly [string, PriceName, number];

interface Month {
  readonly requests: number;
  /** Hours of all environments. */
  readonly hours: number;
  readonly jobs: number;
  readonly passes: number;
  readonly plans: number;
  readonly commands: number;
  readonly runs: readonly ScheduledRuns[];
  /** Calls of schedules. */
  readonly calls: number;
}

function getAmounts({ requestsPerDay, activeEnvironments, jobsPerDay = 0 }: Load, functions: FunctionsFile): Month {
  const hours = activeEnvironments * DAYS * 24;
  const jobs = jobsPerDay * DAYS;
  const runs = scheduledRuns(functions);
  return {
    requests: requestsPerDay * DAYS,
    hours,
    jobs,
    passes: hours * assumed.looksPerHour + jobs * assumed.looksPerJob,
    plans: hours * assumed.looksPerHour * assumed.plansPerLook + jobs * assumed.plansPerJob,
    commands: hours * assumed.commandsPerHour,
    runs,
    calls: runs.reduce((sum, { times }) => sum + times, 0),
  };
}

function listTimes({ requests, passes, plans, commands, runs }: Month, functions: FunctionsFile): Amount[] {
  const getTime = (isMeant: boolean) =>
    runs.filter(({ isEndless }) => isEndless === isMeant).reduce((sum, { gbSeconds }) => sum + gbSeconds, 0);
  return [
    ["the watch of the cluster, its time", "lambdaGbSecond", getTime(true)],
    ["other schedules, their time", "lambdaGbSecond", getTime(false)],
    [
      "requests, their time",
      "lambdaGbSecond",
      requests * assumed.requestSeconds * getGb(functions, ({ kind }) => kind === "endpoint"),
    ],
    [
      "looks, their time",
      "lambdaGbSecond",
      passes * assumed.lookSeconds * getGb(functions, ({ name }) => name === "consumers/reconcile"),
    ],
    ["plans, their time", "lambdaGbSecond", plans * assumed.planSeconds * getGb(functions, isPlan)],
    [
      "commands of web shells, their time",
      "lambdaGbSecond",
      commands * assumed.commandSeconds * getGb(functions, ({ kind }) => kind === "socket"),
    ],
  ];
}

function listCalls(month: Month, made: Readonly<Record<string, number>>): Amount[] {
  const { requests, hours, passes, plans, commands, calls } = month;
  const canary = assumed.canaryPerMinute * MINUTES;
  return [
    ["calls of functions", "lambdaRequest", calls + requests + passes + plans + commands],
    ["requests at the HTTP API", "apiRequest", requests],
    ["messages of web shells", "socketMessage", commands * assumed.messagesPerCommand],
    ["open web shells, minutes", "socketMinute", hours * assumed.shellMinutesPerHour],
    ["requests at CloudFront", "cloudFrontRequest", requests],
    ["the edge function", "cloudFrontFunction", requests],
    ["answers", "transferGb", (requests * assumed.requestTransferKb) / KB_PER_GB],
    ["loads of the web console", "cloudFrontRequest", requests * assumed.consoleLoads * assumed.consoleFiles],
    ["the web console, its bytes", "transferGb", (requests * assumed.consoleLoads * assumed.consoleKb) / KB_PER_GB],
    ["the canary, its health check", "healthCheck", made["aws:route53/healthCheck:HealthCheck"] ?? 0],
    ["the canary at the HTTP API", "apiRequest", canary],
    ["the canary at CloudFront", "cloudFrontRequest", canary],
    ["the canary at the firewall", "wafRequest", canary],
    ["the firewall and its rules", "wafFixed", 1],
    ["requests at the firewall", "wafRequest", requests],
  ];
}

function listStorage(month: Month, functions: FunctionsFile, made: Readonly<Record<string, number>>): Amount[] {
  const { requests, hours, jobs, passes, plans, commands, calls } = month;
  const queues = functions.filter(({ kind }) => kind === "consumer" || kind === "socket").length;
  const logKb = requests * assumed.requestLogKb + passes * assumed.lookLogKb;
  const reads =
    requests * assumed.requestReads +
    passes * assumed.lookReads +
    calls * assumed.scheduleReads +
    commands * assumed.commandReads;
  const writes = requests * assumed.requestWrites + hours * assumed.writesPerHour + commands;
  return [
    ["writes to the table", "tableWrite", writes],
    ["writes of beginnings and ends of jobs", "tableWrite", jobs * assumed.writesPerJob],
    ["reads of the table", "tableRead", reads],
    ["messages", "queueRequest", (requests + passes + plans + commands) * assumed.requestsPerMessage],
    ["polls of queues", "queueRequest", queues * assumed.pollsPerMinute * MINUTES],
    ["files of the web console", "storageGb", assumed.consoleStoredGb],
    ["logs", "logGb", logKb / KB_PER_GB],
    ["metrics", "metric", assumed.metrics],
    ["metrics of alarms", "alarm", made["aws:cloudwatch/metricAlarm:MetricAlarm"] ?? 0],
    ["dashboards", "dashboard", made["aws:cloudwatch/dashboard:Dashboard"] ?? 0],
    ["the key", "kmsKey", made["aws:kms/key:Key"] ?? 0],
    ["calls of the key", "kmsRequest", requests * assumed.requestKeyCalls + passes * assumed.lookKeyCalls],
  ];
}

function getGb(functions: FunctionsFile, isMeant: (entry: FunctionEntry) => boolean): number {
  return Math.max(0, ...functions.filter(isMeant).map(({ memoryMb }) => memoryMb)) / 1024;
}

function isPlan({ name }: FunctionEntry): boolean {
  return name === "consumers/plan";
}

interface ScheduledRuns {
  readonly isEndless: boolean;
  readonly times: number;
  readonly gbSeconds: number;
}

/** A schedule whose time-out exceeds its interval runs all the time, with overlaps, and uses its whole time-out. */
function scheduledRuns(functions: FunctionsFile): ScheduledRuns[] {
  return functions.flatMap((entry) => {
    if (entry.kind !== "schedule") return [];
    const times = MINUTES / entry.minutes;
    const isEndless = runsAllTheTime(entry);
    const seconds = isEndless ? entry.timeoutSeconds : assumed.scheduleSeconds;
    return [{ isEndless, times, gbSeconds: (times * seconds * entry.memoryMb) / 1024 }];
  });
}
