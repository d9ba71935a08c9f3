import type { Me } from "../sdk/berth.ts";
import type { JobSummary } from "../sdk/jobs.ts";
import { firstReads } from "./data/first-reads.ts";
import { home, listPlaces } from "./data/screens.ts";
import {
  describeMachine,
  describeReason,
  describeState,
  livingCaption,
  livingColumns,
  printable,
} from "./data/words.ts";
import { element } from "./parts/element.ts";

/** A window shows fewer. */
const drawnRows = 50;

/**
 * Draws the first rows of the list as soon as they are read. React takes longer to load, and its first commit replaces
 * all that is in the root.
 */
export async function drawFirstRows(): Promise<void> {
  if (!firstReads.jobs) return;
  const [me, jobs] = await Promise.all([firstReads.me, firstReads.jobs]);
  const root = document.getElementById("root");
  if (root?.hasChildNodes() === false && jobs.length > 0) root.append(skip(), bar(me), content(jobs));
}

function skip(): HTMLElement {
  return element("a", { class: "skip", href: "#main" }, "Skip to the content");
}

function bar(me: Me): HTMLElement {
  const links = listPlaces(me).map(([href, label]) => element("a", { href }, label));
  links[0]?.setAttribute("aria-current", "page");
  const brand = element("a", { class: "brand", href: "/" }, "Berth");
  return element("header", { class: "top" }, brand, element("nav", { "aria-label": "Screens" }, ...links));
}

function content(jobs: readonly JobSummary[]): HTMLElement {
  const heads = livingColumns.map((name) => element("th", { scope: "col" }, name));
  return element(
    "main",
    { id: "main", tabindex: "-1", "aria-busy": "true" },
    element("div", { class: "title" }, element("h1", {}, home[1])),
    element(
      "table",
      { class: "living" },
      element("caption", { class: "unseen" }, livingCaption),
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...jobs.slice(0, drawnRows).map(row)),
    ),
  );
}

/** The list has more in its other columns, which need the code of their controls. */
function row(job: JobSummary): HTMLElement {
  const name = element(
    "a",
    { class: "name", href: `/jobs/${job.job_id}` },
    element("bdi", {}, printable(job.name, 128)),
  );
  const { mark, text } = describeState(job);
  const reason = describeReason(job);
  const state = element(
    "div",
    {},
    element(
      "span",
      { class: `state state-${job.status}` },
      element("span", { "aria-hidden": "true" }, mark),
      ` ${text}`,
    ),
    ...(reason ? [element("span", { class: reason.className }, reason.text)] : []),
  );
  const cells = [element("div", {}, name), state, element("div", {}, describeMachine(job))];
  return element(
    "tr",
    {},
    ...livingColumns.map((label, n) => element("td", { "data-label": label }, ...cells.slice(n, n + 1))),
  );
}
