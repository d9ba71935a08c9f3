import { systemClock } from "#aws/clock.ts";
import { jsonLog } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import { mapLog } from "#http/log.ts";
import { countingLog, formatNamespace } from "./metrics.ts";

export interface FunctionLog extends Log {
  /** Starts an invocation: later lines carry its ids. A function handles one at a time. */
  begin(awsRequestId: string | undefined): void;
}

export function functionLog(): FunctionLog {
  const namespace = formatNamespace(process.env.AWS_LAMBDA_LOG_GROUP_NAME);
  const log = countingLog(jsonLog(), namespace, () => systemClock().now());
  let ids: Readonly<Record<string, string>> = {};
  return {
    ...mapLog(log, (_, fields) => ({ ...fields, ...ids })),
    begin(awsRequestId) {
      // Lambda sets it for each invocation ("Using Lambda environment variables").
      const { _X_AMZN_TRACE_ID: trace } = process.env;
      ids = { ...(awsRequestId && { awsRequestId }), ...(trace && { trace }) };
    },
  };
}
