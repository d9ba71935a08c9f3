import { table, wrapText } from "../terminal/layout.ts";

/**
 * The texts of `berth help TOPIC` and of docs/cli.md. They are Markdown with paragraphs, code and one kind of table,
 * which a terminal shows as plain text.
 */
export const helpTopics: Readonly<Record<string, string>> = {
  "exit-codes": `| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, or the job failed |
| 2 | wrong usage, or a request that the API refuses |
| 3 | not found, or several match |
| 4 | a login is needed |
| 5 | no capacity, or a limit is reached |
| 6 | a wait took longer than \`--timeout\` |
| 7 | the deployment does not answer |
| 130 | detached by Ctrl-C |

\`berth run\` and \`berth ssh NAME -- command\` end with the code of the command; 255 is a failure of \`berth\` or \`ssh\`.
\`berth rsync\` ends with the code of rsync.`,
  environment: `\`BERTH_URL\` and \`BERTH_API_KEY\`, or \`API_URL\` and \`API_KEY\`, win over the last login. With \`BERTH_ACCESSIBLE=1\` or
\`TERM=dumb\`, \`berth\` never redraws a line. \`REGISTRY_PASSWORD\` is the password of \`--registry-user\`. With \`--quiet\`, which every
command takes, or \`BERTH_QUIET=1\`, it prints only errors to standard error.`,
  files: `\`berth\` keeps its state in \`$XDG_CONFIG_HOME/berth\`, or in \`~/.config/berth\` without that variable: the keys of your
logins, an SSH key of its own, and the host keys of jobs. Only you can read these files. \`berth\` sends keys over \`https\` or
to this machine, never over plain \`http\` to another one.

\`cp\` and \`rsync\` take \`disk:NAME/path\` for a path on a disk. A job that is called \`disk\` needs its id there. If a job has
the disk, the copy goes through that job. Otherwise \`berth\` starts an environment without GPUs for the copy, of the type that
starts first. It ends seconds after the copy, even if the copy was killed, and after an hour at the latest.`,
  json: `With \`--json\` a command prints objects of the API, one a line. A wait prints the job at each change. These commands
print objects of \`berth\` itself:

| command | fields of a line |
|---|---|
| api | the answer, whatever it is |
| code, cursor | url, host, path |
| cp | from, to, job_id; files and bytes of the copy on this machine, null for a pattern and for a copy into an earlier directory |
| forward | job_id, url, local_port, job_port: a line for each port, once all are open |
| logout | url, revoked |
| logs, stack logs | logs: a piece of the log |
| rsync --json | job_id; files and bytes that were transferred. What rsync prints goes to standard error |
| run | the job at each change and at the end; between them job_id with stdout or stderr, a piece of that output |
| ssh-config on, ssh-config off | path, hosts |

\`ssh\`, \`completion\` and \`help\` refuse \`--json\`, since another program or a person reads what they print.`,
};

/** Returns a topic as plain text of at most this many columns. */
export function plainTopic(markdown: string, columns: number): string {
  return markdown
    .replaceAll("`", "")
    .split("\n\n")
    .map((block) => (block.startsWith("| ") ? plainTable(block, columns) : plainParagraph(block, columns)))
    .join("\n");
}

function plainTable(block: string, columns: number): string {
  const rows = block
    .split("\n")
    .filter((line) => !line.startsWith("|-"))
    .map((line) => line.slice(2, -2).split(" | "));
  return table(rows, columns, { wraps: true });
}

function plainParagraph(block: string, columns: number): string {
  return `${wrapText(block.replaceAll("\n", " "), columns)}\n`;
}
