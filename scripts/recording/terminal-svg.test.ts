import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { terminalSvg } from "./terminal-svg.ts";

const options = { columns: 80, label: "A session" };

test("a line appears at its time, a rewritten line disappears, and the last frame shows without animation", () => {
  const svg = terminalSvg(
    [
      { atMs: 0, lines: ["$ berth up"] },
      { atMs: 2000, lines: ["$ berth up", "queued #1"] },
      { atMs: 5000, lines: ["$ berth up", "active"] },
    ],
    options,
  );

  expect(svg).toContain('<text id="l0" class="c" x="16" y="31">$ berth up</text>');
  expect(svg).toContain('<text id="l1" class="o h" x="16" y="51">queued #1</text>');
  expect(svg).toContain('<text id="l2" class="o" x="16" y="51">active</text>');
  expect(svg).toContain("@keyframes k1{0%{visibility:hidden}20.00%{visibility:visible}50.00%,100%{visibility:hidden}}");
  expect(svg).toContain("@keyframes k2{0%{visibility:hidden}50.00%{visibility:visible}}");
});

test("markup and control characters of a terminal stay text in the picture", () => {
  const svg = terminalSvg([{ atMs: 0, lines: ['<script>alert("1")</script>&\u001B[31m\u202E'] }], options);

  expect(svg).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;[31m</text>");
});

test("the picture of the README loads no other resource, and is smaller than 40 kB", () => {
  const svg = readFileSync(new URL("../../docs/pictures/session.svg", import.meta.url), "utf8");

  expect(svg).not.toMatch(/<script|<image|<use|href|url\(|@import|@font-face/);
  expect(svg.length).toBeLessThan(40_000);
  for (const shown of ["berth up", "queued #1", "berth ssh", "berth logs -f", "Ended"]) expect(svg).toContain(shown);
});
