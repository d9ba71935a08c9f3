import { startRealCluster } from "./real-cluster.ts";

/** Starts a node, prints the name and the folder of its run, and waits to be killed. */
const { run, controlPlane } = await startRealCluster([{ name: "one", instanceType: "m7i.8xlarge" }]);
process.stdout.write(JSON.stringify({ run, home: controlPlane.home }));
setInterval(() => {}, 1_000_000);
