import { expect, test } from "vitest";
import { histogramSamples, prometheusText } from "./prometheus.ts";

test("a family has a type, a help text and a line per sample", () => {
  const text = prometheusText([
    {
      name: "berth_jobs",
      help: "Jobs.",
      type: "gauge",
      samples: [{ labels: { gpu_type: "h100", phase: "active" }, value: 2 }, { value: 0.5 }],
    },
    { name: "berth_none", help: "Nothing yet.", type: "counter", samples: [] },
  ]);

  expect(text).toBe(
    "# HELP berth_jobs Jobs.\n# TYPE berth_jobs gauge\n" +
      'berth_jobs{gpu_type="h100",phase="active"} 2\nberth_jobs 0.5\n' +
      "# HELP berth_none Nothing yet.\n# TYPE berth_none counter\n",
  );
});

test("quotes, backslashes and line breaks in a label or a help text cannot begin a new line", () => {
  const text = prometheusText([
    { name: "m", help: "a\nb\\", type: "gauge", samples: [{ labels: { l: 'x"} 1\nevil 1\\' }, value: 1 }] },
  ]);

  expect(text).toBe('# HELP m a\\nb\\\\\n# TYPE m gauge\nm{l="x\\"} 1\\nevil 1\\\\"} 1\n');
});

test("NaN and infinities have the format's own spelling", () => {
  const samples = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map((value) => ({ value }));

  const text = prometheusText([{ name: "m", help: "h", type: "gauge", samples }]);

  expect(text.split("\n").slice(2, -1)).toEqual(["m +Inf", "m -Inf", "m NaN"]);
});

test("a histogram's buckets add up to its count, and the last one has no bound", () => {
  const samples = histogramSamples({ gpu_type: "t4" }, { bounds: [1, 5], counts: [2, 0, 3], sum: 42 });

  expect(samples).toEqual([
    { suffix: "_bucket", labels: { gpu_type: "t4", le: "1" }, value: 2 },
    { suffix: "_bucket", labels: { gpu_type: "t4", le: "5" }, value: 2 },
    { suffix: "_bucket", labels: { gpu_type: "t4", le: "+Inf" }, value: 5 },
    { suffix: "_sum", labels: { gpu_type: "t4" }, value: 42 },
    { suffix: "_count", labels: { gpu_type: "t4" }, value: 5 },
  ]);
});
