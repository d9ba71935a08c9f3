/** What counts as use of a run while it is open: a session, a web terminal or a connection of a page. */
export interface Use {
  add(one: object): unknown;
  delete(one: object): unknown;
}
