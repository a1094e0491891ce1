/** Loaded before a measured server (`--import`): says on request what it has used. "memory" needs `--expose-gc`. */
process.on('message', (question) => {
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  }
  if (question === 'memory') {
    const { gc } = globalThis as { gc?: () => void };
    // Twice: the first ends what only the second can take.
    gc?.();
    gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    process.send!({ held: heapUsed + external, rss });
  }
});
