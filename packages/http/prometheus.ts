/** One number with its labels; `suffix` tells the parts of a histogram apart. */
export interface Sample {
  readonly suffix?: "_bucket" | "_sum" | "_count";
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly samples: readonly Sample[];
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/, the text format. */
export const prometheusType = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Families in Prometheus' text format; one without samples still says what it is. By hand and not by prom-client, which
 * keeps a registry in the process: these values are read from records when somebody asks.
 */
export function prometheusText(families: readonly Family[]): string {
  return families.map(familyText).join("");
}

/** A histogram's samples from how many fell into each bucket; `counts` has one more entry than `bounds`: the rest. */
export function histogramSamples(
  labels: Readonly<Record<string, string>>,
  { bounds, counts, sum }: { bounds: readonly number[]; counts: readonly number[]; sum: number },
): Sample[] {
  let total = 0;
  const buckets = [...bounds.map(String), "+Inf"].map((le, at): Sample => {
    total += counts[at] ?? 0;
    return { suffix: "_bucket", labels: { ...labels, le }, value: total };
  });
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: total }];
}

function familyText({ name, help, type, samples }: Family): string {
  const lines = samples.map(
    ({ suffix = "", labels = {}, value }) => `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`,
  );
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length > 0 ? `{${pairs.join(",")}}` : "";
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** The format has words of its own for what is no finite number. */
function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
