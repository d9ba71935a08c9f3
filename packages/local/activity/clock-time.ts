/** Formats the local time of day (`17:52`), with the date unless it is today. */
export function clockTime(at: number): string {
  const date = new Date(at);
  const time = date.toTimeString().slice(0, 5);
  return date.toDateString() === new Date().toDateString() ? time : `${date.toDateString().slice(4, 10)} ${time}`;
}
