import { element } from "./parts/element.ts";

/** Says that the screens did not load. The first rows, if they are drawn, stay below that. */
export function showLoadFailure(root: HTMLElement): void {
  const again = element("button", { type: "button", class: "primary" }, "Load it again");
  again.addEventListener("click", () => location.reload());
  const failure = element(
    "div",
    { class: "failure", role: "alert" },
    element("p", { class: "empty-title" }, "This page did not load"),
    element("p", {}, "A script of it did not arrive, so nothing here is up to date."),
    again,
  );
  const main = root.querySelector("main");
  main?.removeAttribute("aria-busy");
  if (main) main.prepend(failure);
  else root.replaceChildren(element("main", {}, element("h1", {}, "Berth"), failure));
}
