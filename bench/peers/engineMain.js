// The main file of an engine's child process: opens the engine and runs its tasks one at a time. See EngineProcess.

// @ts-check
/** @type {Record<string, any>} */
let engine = {};

process.on('message', async (/** @type {{ task: string, args: object }} */ { task, args }) => {
  try {
    if (task === 'open') engine = await (await import(process.argv[2])).open(args);
    process.send?.({ result: task === 'open' ? engine.info : await engine[task](args) });
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) });
  }
});
process.on('disconnect', () => process.exit()); // drivers and thread pools may keep the process alive
