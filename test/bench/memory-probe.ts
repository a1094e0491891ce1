/** Loaded before a measured server (`--import`): says on request what it has used. "memory" needs `--expose-gc`. */
process.on('message', (question) => {
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  }
  if (question === 'memory') {
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    process.send!({ held: heapUsed + external, rss });
  }
});
