export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Highest accepted value. Missing if the number is only reported. */
  readonly limit?: number;
  readonly note?: string;
}

export interface Measure {
  readonly name: string;
  run(): Promise<Row[]>;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentileRows(
  name: string,
  values: readonly number[],
  limits: { readonly p50?: number; readonly p99?: number; readonly note?: string },
): Row[] {
  const note = [`${values.length} samples`, limits.note].filter(Boolean).join("; ");
  return ([50, 99] as const).map((percent) => {
    const limit = limits[`p${percent}`];
    const row = { name: `${name} p${percent}`, value: percentile(values, percent), unit: "ms", note };
    return limit === undefined ? row : { ...row, limit };
  });
}

/** Returns the nearest-rank percentile. With fewer than 100 values, p99 is the largest. */
function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (value === undefined) throw new Error("There is nothing to take a percentile of");
  return value;
}
