import type { Item } from "./context.ts";

/** A record that this version cannot read: nobody guesses what it means (design section 2, poisoned). */
export class Unreadable extends Error {
  readonly item: Item;

  constructor(kind: string, item: Item) {
    super(`The ${kind} record ${item.pk}|${item.sk} cannot be read`);
    this.name = "Unreadable";
    this.item = item;
  }
}
