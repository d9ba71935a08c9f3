// Ends a stack when the process that started it is gone, also after SIGKILL. Loaded before the stack.
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();
