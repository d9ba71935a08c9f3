import type { TerminalFrame } from "./terminal-recording.ts";

interface PictureOptions {
  readonly columns: number;
  /** Text for screen readers. */
  readonly label: string;
}

interface ShownLine {
  readonly row: number;
  readonly text: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

const lineHeight = 20;
const charWidth = 8.43;
const margin = 16;
/** How long the last frame stays before the picture starts again. */
const restMs = 5000;

/** Draws a recording as an SVG without script, font or link. Without animation it shows the last frame. */
export function terminalSvg(frames: readonly TerminalFrame[], { columns, label }: PictureOptions): string {
  const totalMs = Math.round((frames.at(-1)?.atMs ?? 0) + restMs);
  const shown = shownLines(frames, totalMs);
  const width = Math.ceil(columns * charWidth + 2 * margin);
  const height = (Math.max(...shown.map(({ row }) => row)) + 1) * lineHeight + 2 * margin;
  const texts = shown.map((line, at) => {
    const isLast = line.untilMs >= totalMs;
    const y = margin + (line.row + 0.75) * lineHeight;
    const kind = line.text.startsWith("$ ") ? "c" : "o";
    return `<text id="l${at}" class="${kind}${isLast ? "" : " h"}" x="${margin}" y="${y}">${escaped(line.text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(label)}">
<style>
rect{fill:#f6f8fa;stroke:#d0d7de}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#57606a;white-space:pre}
.c{fill:#0550ae;font-weight:600}.h{visibility:hidden}
@media (prefers-color-scheme:dark){rect{fill:#161b22;stroke:#30363d}text{fill:#c9d1d9}.c{fill:#79c0ff}}
@media (prefers-reduced-motion:no-preference){
${shown.map((line, at) => animation(line, at, totalMs)).join("\n")}
}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
${texts.join("\n")}
</svg>
`;
}

function shownLines(frames: readonly TerminalFrame[], totalMs: number): ShownLine[] {
  const rows = Math.max(0, ...frames.map(({ lines }) => lines.length));
  return Array.from({ length: rows }, (_, row) => row).flatMap((row) => {
    const changes = frames
      .map(({ atMs, lines }) => ({ fromMs: Math.round(atMs), text: lines[row] ?? "" }))
      .filter(({ text }, at, all) => at === 0 || text !== all[at - 1]?.text);
    return changes
      .map(({ fromMs, text }, at) => ({ row, text, fromMs, untilMs: changes[at + 1]?.fromMs ?? totalMs }))
      .filter(({ text, fromMs, untilMs }) => text !== "" && untilMs > fromMs);
  });
}

/** Hides a line before its time, and after it unless it stays to the end. */
function animation({ fromMs, untilMs }: ShownLine, at: number, totalMs: number): string {
  const from = percentage(fromMs, totalMs);
  const until = percentage(untilMs, totalMs);
  const end = untilMs >= totalMs ? "" : `${until}%,100%{visibility:hidden}`;
  const play = `#l${at}{animation:k${at} ${totalMs}ms step-end infinite}`;
  return `@keyframes k${at}{0%{visibility:hidden}${from}%{visibility:visible}${end}}${play}`;
}

function percentage(partMs: number, totalMs: number): string {
  return ((100 * partMs) / totalMs).toFixed(2);
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[^\P{C}]/gu, "").replace(/[&<>"]/g, (character) => entities[character] ?? "");
}
