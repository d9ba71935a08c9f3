/// <reference path="./.sst/platform/config.d.ts" />

/** The app on AWS: one file per family of resources in stacks/. SST refuses imports outside of `run` here. */
export default $config({
  app(input) {
    const isProduction = input?.stage === "production";
    const { AWS_REGION, DEPLOY_ACCOUNT, EKS_CLUSTER, EKS_PROTECT } = process.env;
    // `sst remove` then refuses before it removes anything. Removing a cluster ends all of its jobs.
    const keepsCluster = EKS_CLUSTER === "new" && EKS_PROTECT !== "0";
    return {
      name: "berth",
      home: "aws",
      removal: isProduction ? "retain" : "remove",
      protect: isProduction || keepsCluster,
      providers: {
        aws: {
          // What SST 4.17.1 brings and was made with.
          version: "7.20.0",
          ...(AWS_REGION && { region: AWS_REGION as "us-east-1" }),
          // A deployment into another account than the stage's own is refused before anything is made.
          ...(DEPLOY_ACCOUNT && { allowedAccountIds: [DEPLOY_ACCOUNT] }),
        },
      },
    };
  },
  async run() {
    const { readStage } = await import("./stacks/stage.ts");
    const { makeApp } = await import("./stacks/app.ts");
    return makeApp(readStage($app.stage, process.env), $cli.paths.root);
  },
});
