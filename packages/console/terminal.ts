import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { BerthError } from "../sdk/errors.ts";
import { berth } from "./data/client.ts";
import { keptItems } from "./data/kept-items.ts";
import { decodePart } from "./data/path-part.ts";
import { printable } from "./data/words.ts";
import { element } from "./parts/element.ts";
import "./terminal.css";
import { connectTerminal } from "./terminal/connection.ts";

const [, id = ""] = /^\/jobs\/([^/]+)\/terminal$/.exec(location.pathname) ?? [];
const jobId = decodePart(id);
const readerItem = "berth.screen-reader";
const root = document.getElementById("root");
if (root && jobId !== undefined) start(root, jobId);
else if (root) showNothing(root);

function start(place: HTMLElement, jobId: string): void {
  const { header, back, reader, notice, status } = makeHeader(jobId);
  const main = element("main");
  main.setAttribute("aria-label", "Terminal");
  place.append(header, main);

  const terminal = new Terminal({
    fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace',
    fontSize: 14,
    scrollback: 10_000,
    screenReaderMode: keptItems.read("localStorage", readerItem) === "on",
    theme: { background: "#0d1014", foreground: "#e4e8ec" },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(new WebLinksAddon(openLink));
  terminal.open(main);
  fit.fit();
  new ResizeObserver(() => fit.fit()).observe(main);
  terminal.focus();
  leaveByKey(terminal, back);
  toggleReader(terminal, reader);
  connectTerminal(terminal, {
    jobId,
    open: (terminalId) => berth.jobs.openTerminal(jobId, terminalId),
    say: (text) => {
      status.textContent = text;
    },
    announce: (text) => {
      notice.textContent = text;
    },
    isFinal: (error) => error instanceof BerthError && !["unreachable", "unavailable", "rate"].includes(error.code),
  });
}

/** Says that no environment can have this address. */
function showNothing(place: HTMLElement): void {
  document.title = "Nothing is here · Berth";
  const main = element("main", { class: "nothing" });
  main.append(
    element("h1", {}, "Nothing is here"),
    element("p", {}, "No environment has this address."),
    element("a", { href: "/" }, "Go to your environments"),
  );
  place.append(main);
}

/** Makes the line above the terminal. It names the job once that is read. */
function makeHeader(jobId: string) {
  const header = element("header");
  const heading = element("h1");
  const back = element("a", { href: `/jobs/${id}` }, "Back to the environment");
  const status = element("span");
  const notice = element("span");
  const hint = element("span", {}, "Ctrl+Shift+. leaves the terminal");
  const reader = element("button", {}, "Screen reader");
  for (const live of [notice, status]) live.setAttribute("role", "status");
  notice.className = "notice";
  header.append(back, heading, reader, hint, notice, status);
  const name = (text: string) => {
    heading.textContent = `Terminal of ${printable(text, 60)}`;
    document.title = `${heading.textContent} · Berth`;
  };
  name(jobId.slice(0, 8));
  berth.jobs.get(jobId).then(
    (job) => name(job.name),
    // The status of the terminal shows a failure. The title keeps the id of the job.
    () => undefined,
  );
  return { header, back, reader, notice, status };
}

/** Moves the focus out of the terminal, which takes Tab (WCAG 2.2, criterion 2.1.2). */
function leaveByKey(terminal: Terminal, target: HTMLElement): void {
  terminal.attachCustomKeyEventHandler((event) => {
    if (!event.ctrlKey || !event.shiftKey || event.code !== "Period") return true;
    event.preventDefault();
    if (event.type === "keydown") target.focus();
    return false;
  });
}

/** Lets the button turn on the lines that screen readers read. The browser keeps the choice. */
function toggleReader(terminal: Terminal, button: HTMLButtonElement): void {
  const show = () => button.setAttribute("aria-pressed", String(terminal.options.screenReaderMode));
  show();
  button.addEventListener("click", () => {
    terminal.options.screenReaderMode = !terminal.options.screenReaderMode;
    keptItems.write("localStorage", readerItem, terminal.options.screenReaderMode ? "on" : "off");
    show();
    terminal.focus();
  });
}

/** Opens an address that a program printed, without access to this page. */
function openLink(_: MouseEvent, address: string): void {
  if (/^https?:\/\//i.test(address)) window.open(address, "_blank", "noopener,noreferrer");
}
