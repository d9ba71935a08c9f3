import { generateHelpTextForAllCommands } from "@stricli/core";
import { berthApp } from "./app.ts";
import { helpTopics } from "./definitions/help-topics.ts";

const intro = `# The command line

\`berth\` starts jobs, watches them and gets you into them. In a checkout it is \`npx berth\` after \`npm ci\`. This page is
generated from the commands by \`npm run generate\`.

A job is meant by its name, or by the first 4 or more characters of its name or id. Where you name none, your only live job
is meant. Standard output holds data, standard error holds words. \`--json\` prints the objects of the API.
\`--quiet\` leaves only errors on standard error. Every command takes it, before the words behind \`--\`; \`rsync\` takes it as its
first word. Ctrl-C in a wait or in \`logs -f\` detaches: the job goes on. Questions are asked on terminals only; elsewhere an
error names the flag.

\`berth help\` lists the commands, and \`berth help COMMAND\` explains one. \`berth help TOPIC\` prints one of the next four
sections.

## Exit codes

${helpTopics["exit-codes"]}

## Environment

${helpTopics.environment}

## Files

${helpTopics.files}

## JSON

${helpTopics.json}

## From gpu-dev

| gpu-dev | berth |
|---|---|
| \`setup\`, \`login\`, \`config show\` | \`login\`, \`me\`. The key is renewed from your AWS credentials without a word |
| \`config environment\` | \`login URL\`; the last login counts, or \`BERTH_URL\` |
| \`reserve -t h100 -g 2 -h 1 -n NAME\` | \`up NAME -t h100 -g 2 --hours 1\`, also \`--hours 90m\`, or settings in \`berth.yaml\` |
| the wizard of \`reserve\` | \`up\` asks on a terminal; \`avail\` shows what is free, \`up --dry-run\` when it starts |
| \`--disk NAME\`, \`--dockerimage\`, \`--jupyter\` | \`--disk NAME\`, \`--image\`, \`--jupyter\`. A new disk is made without a question |
| \`--disk none\`, \`--no-persist\`, \`--ignore-no-persist\` | leave \`--disk\` out; a note says that files go with the job |
| \`config set github_user\` | \`up --github USER\`. \`berth\` adds an SSH key of its own, so none is needed for yourself |
| \`-g 16 --distributed\` | \`-g 16\`: several machines with one command |
| \`--dockerfile\`, \`--preserve-entrypoint\`, \`--recreate-env\`, \`--node-label\` | none: build and push an image, and name it |
| \`--no-interactive\` | questions are asked on terminals only; \`--yes\` answers them |
| Ctrl-C cancels, Ctrl-\\\\ leaves | Ctrl-C detaches; \`attach NAME\` comes back, \`end NAME\` cancels |
| \`list\`, \`list -s all\`, \`list -s a,b\` | \`ls\`, \`ls --all\`, \`ls --status a,b\` |
| \`list --watch\`, \`avail --watch\`, \`disk list --watch\` | \`ls -w\`, \`avail -w\`, \`disks ls -w\`, also \`show -w\` |
| \`show [ID]\`, \`connect [ID]\` | \`show [JOB]\`, \`ssh [JOB]\`, with \`-A\` for your agent |
| \`config ssh-include\`, \`get-ssh-config [ID]\` | \`ssh-config on\` and \`off\`, with the host \`berth-NAME\`; \`ssh\`, \`cp\`, \`rsync\` and \`forward\` need none |
| \`edit ID --extend H\` | \`extend [JOB] H\` |
| \`edit ID --add-user USER\` | \`share [JOB] USER\` |
| \`edit ID --enable-jupyter\`, \`--disable-jupyter\` | \`jupyter on [JOB]\`, \`jupyter off [JOB]\`, \`jupyter url [JOB]\`, \`jupyter open [JOB]\` |
| \`cancel [ID]\`, \`cancel --all\`, \`--force\` | \`end [JOB…]\`, \`end --all\`, \`--yes\` |
| \`avail\`, \`status\` | \`avail\`, \`api GET /v1/cluster/status\` |
| \`disk list\`, \`create\`, \`rename\`, \`delete\`, \`list-content\` | \`disks ls\`, \`create\`, \`rename\`, \`rm\`, \`ls-files\`; also \`undelete\`, \`snapshot\`, \`snapshots\`, \`restore\` |
| \`disk clone A B\` | \`disks restore A B\`, from the newest snapshot |
| \`disk unlock\` | none: a disk is free once its job has ended |
| \`debug [ID]\`, \`debug --logs\` | \`show [JOB]\` with the timeline, \`logs [JOB]\`; \`doctor\` for your own side |
| \`submit --runtime DIR --gpu-type h100 -- COMMAND\` | \`run --dir DIR -t h100 --pull PATH -- COMMAND\`; only \`--pull\` paths come back |
| \`vscode://\` links | \`code [JOB]\`, \`cursor [JOB]\`, with \`--print\` for the link |
| \`submit --no-pull\`, \`--keep-alive\` | \`run\` without \`--pull\`, \`--keep\` |
`;

/** Returns docs/cli.md: what holds for all commands, and the help of each. */
export function cliPage(): string {
  const sections = generateHelpTextForAllCommands(berthApp({ showsAdmin: true }))
    .filter(([route]) => route !== "berth")
    .map(([route, help]) => `## ${route}\n\n\`\`\`text\n${help.trim()}\n\`\`\`\n`);
  return [intro, ...sections].join("\n");
}
