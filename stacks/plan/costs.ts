import type { FunctionEntry, FunctionsFile } from "../compute/functions-file.ts";

export type PriceName =
  | ("lambdaRequest" | "lambdaGbSecond" | "apiRequest" | "cloudFrontRequest" | "cloudFrontFunction" | "wafRequest")
  | ("wafFixed" | "transferGb" | "tableWrite" | "tableRead" | "queueRequest" | "logGb" | "metric" | "alarm")
  | ("dashboard" | "kmsKey" | "kmsRequest" | "socketMessage" | "socketMinute" | "healthCheck");

export interface Prices {
  readonly date: string;
  readonly region: string;
  readonly prices: Readonly<Record<PriceName, { readonly usd: number; readonly per: number; readonly source: string }>>;
  /** Prices that do not depend on the load of a stage. */
  readonly beside: readonly BesidePrice[];
}

export interface BesidePrice {
  readonly what: string;
  readonly usd: number;
  readonly unit: string;
  readonly source: string;
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
  /** For a short schedule. Endless ones use all of their time. */
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
  { requestsPerDay, activeEnvironments, jobsPerDay = 0 }: Load,
  functions: FunctionsFile,
  made: Readonly<Record<string, number>>,
  { prices }: Prices,
): CostLine[] {
  const requests = requestsPerDay * DAYS;
  const hours = activeEnvironments * DAYS * 24;
  const jobs = jobsPerDay * DAYS;
  const passes = hours * assumed.looksPerHour + jobs * assumed.looksPerJob;
  const plans = hours * assumed.looksPerHour * assumed.plansPerLook + jobs * assumed.plansPerJob;
  const canary = assumed.canaryPerMinute * MINUTES;
  const runs = scheduledRuns(functions);
  const calls = runs.reduce((sum, { times }) => sum + times, 0);
  const commands = hours * assumed.commandsPerHour;
  const queues = functions.filter(({ kind }) => kind === "consumer" || kind === "socket").length;
  const logKb = requests * assumed.requestLogKb + passes * assumed.lookLogKb;
  const reads =
    requests * assumed.requestReads +
    passes * assumed.lookReads +
    calls * assumed.scheduleReads +
    commands * assumed.commandReads;
  const writes = requests * assumed.requestWrites + hours * assumed.writesPerHour + commands;
  const getTime = (isMeant: boolean) =>
    runs.filter(({ isEndless }) => isEndless === isMeant).reduce((sum, { gbSeconds }) => sum + gbSeconds, 0);
  const line = (subject: string, price: PriceName, amount: number): CostLine => ({
    what: subject,
    price,
    amount,
    usd: (amount * prices[price].usd) / prices[price].per,
  });
  return [
    line("the watch of the cluster, its time", "lambdaGbSecond", getTime(true)),
    line("other schedules, their time", "lambdaGbSecond", getTime(false)),
    line(
      "requests, their time",
      "lambdaGbSecond",
      requests * assumed.requestSeconds * getGb(functions, ({ kind }) => kind === "endpoint"),
    ),
    line(
      "looks, their time",
      "lambdaGbSecond",
      passes * assumed.lookSeconds * getGb(functions, ({ name }) => name === "consumers/reconcile"),
    ),
    line("plans, their time", "lambdaGbSecond", plans * assumed.planSeconds * getGb(functions, isPlan)),
    line(
      "commands of web shells, their time",
      "lambdaGbSecond",
      commands * assumed.commandSeconds * getGb(functions, ({ kind }) => kind === "socket"),
    ),
    line("calls of functions", "lambdaRequest", calls + requests + passes + plans + commands),
    line("requests at the HTTP API", "apiRequest", requests),
    line("messages of web shells", "socketMessage", commands * assumed.messagesPerCommand),
    line("open web shells, minutes", "socketMinute", hours * assumed.shellMinutesPerHour),
    line("requests at CloudFront", "cloudFrontRequest", requests),
    line("the edge function", "cloudFrontFunction", requests),
    line("answers", "transferGb", (requests * assumed.requestTransferKb) / KB_PER_GB),
    line("the canary, its health check", "healthCheck", made["aws:route53/healthCheck:HealthCheck"] ?? 0),
    line("the canary at the HTTP API", "apiRequest", canary),
    line("the canary at CloudFront", "cloudFrontRequest", canary),
    line("the canary at the firewall", "wafRequest", canary),
    line("the firewall and its rules", "wafFixed", 1),
    line("requests at the firewall", "wafRequest", requests),
    line("writes to the table", "tableWrite", writes),
    line("writes of beginnings and ends of jobs", "tableWrite", jobs * assumed.writesPerJob),
    line("reads of the table", "tableRead", reads),
    line("messages", "queueRequest", (requests + passes + plans + commands) * assumed.requestsPerMessage),
    line("polls of queues", "queueRequest", queues * assumed.pollsPerMinute * MINUTES),
    line("logs", "logGb", logKb / KB_PER_GB),
    line("metrics", "metric", assumed.metrics),
    line("metrics of alarms", "alarm", made["aws:cloudwatch/metricAlarm:MetricAlarm"] ?? 0),
    line("dashboards", "dashboard", made["aws:cloudwatch/dashboard:Dashboard"] ?? 0),
    line("the key", "kmsKey", made["aws:kms/key:Key"] ?? 0),
    line("calls of the key", "kmsRequest", requests * assumed.requestKeyCalls + passes * assumed.lookKeyCalls),
  ];
}

function getGb(functions: FunctionsFile, isMeant: (entry: FunctionEntry) => boolean): number {
  return Math.max(0, ...functions.filter(isMeant).map(({ memoryMb }) => memoryMb)) / 1024;
}

function isPlan({ name }: FunctionEntry): boolean {
  return name === "consumers/plan";
}

/** A schedule whose time-out exceeds its interval runs all the time, with overlaps, and uses its whole time-out. */
function scheduledRuns(functions: FunctionsFile): { isEndless: boolean; times: number; gbSeconds: number }[] {
  return functions.flatMap((entry) => {
    if (entry.kind !== "schedule") return [];
    const times = MINUTES / entry.minutes;
    const isEndless = entry.timeoutSeconds > entry.minutes * 60;
    const seconds = isEndless ? entry.timeoutSeconds : assumed.scheduleSeconds;
    return [{ isEndless, times, gbSeconds: (times * seconds * entry.memoryMb) / 1024 }];
  });
}
