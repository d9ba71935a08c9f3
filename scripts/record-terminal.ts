import { writeFileSync } from "node:fs";
import { openCliFixture } from "../packages/cli/cli-fixture.ts";
import { Berth } from "../packages/sdk/berth.ts";
import { openTerminalRecording, type TerminalRecording } from "./recording/terminal-recording.ts";
import { terminalSvg } from "./recording/terminal-svg.ts";

/** `npm run picture` records a command line session on its own embedded stack, and writes docs/pictures/session.svg. */
const size = { columns: 92, rows: 30 };
const picture = new URL("../docs/pictures/session.svg", import.meta.url);
const cli = await openCliFixture();
try {
  await writeTrainingScript();
  const endBlocking = await takeAllGpus();
  const recording = openTerminalRecording(size, { BERTH_HOME: cli.stack.home, XDG_CONFIG_HOME: cli.state });
  await session(recording, endBlocking);
  writeFileSync(picture, terminalSvg(recording.frames(), { columns: size.columns, label: "A session with berth" }));
  console.log("Wrote docs/pictures/session.svg.");
} finally {
  await cli.close();
}

async function session(terminal: TerminalRecording, endBlocking: () => Promise<void>): Promise<void> {
  const prompt = /(^|\n)\$$/;
  await terminal.shows(prompt);
  terminal.type("berth up train -t h100 -g 4 --hours 2 --disk data -- bash train.sh\r");
  await terminal.shows(/queued #1 /);
  await endBlocking();
  await terminal.shows(prompt);
  terminal.type("berth ssh train\r");
  await terminal.shows(/train:~\$$/);
  terminal.type("echo $BERTH_GPUS GPUs; ls\r");
  await terminal.shows(/train\.sh\n.*train:~\$$/);
  terminal.type("exit\r");
  await terminal.shows(prompt);
  terminal.type("berth logs -f train\r");
  await terminal.shows(/epoch 3/);
  terminal.type("\u0003");
  await terminal.shows(prompt);
  terminal.type("berth end train\r");
  await terminal.shows(/Ended train.*\n\$$/);
}

async function writeTrainingScript(): Promise<void> {
  const { jobs } = cli.berth;
  const command = `printf '%s\\n' 'for epoch in 1 2 3; do echo "epoch $epoch"; sleep 2; done | tee train.log; sleep 1h' > train.sh`;
  const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", disk_name: "data", command } as const;
  const { job_id } = await jobs.submit(job);
  await jobs.wait(job_id, { until: "ended" });
}

/** Fills the H100 machines, so that the recorded job waits. Returns how to end one of the jobs. */
async function takeAllGpus(): Promise<() => Promise<void>> {
  const { API_URL: url = "", API_KEY: key = "" } = await cli.running.env("--user", "second");
  const { jobs } = new Berth({ url, key });
  const job = { image: "ubuntu:24.04", instance_type: "p5.48xlarge", gpu_count: 8, duration_hours: 1 } as const;
  const submitted = [await jobs.submit(job), await jobs.submit(job)];
  for (const { job_id } of submitted) await jobs.wait(job_id, { until: "active" });
  return async () => {
    await jobs.act(submitted[0]?.job_id ?? "", { action: "cancel" });
  };
}
